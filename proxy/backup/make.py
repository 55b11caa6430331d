"""Making a backup: by the running proxy, or by the command line when nobody has the database open."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import Final

from proxy import __version__
from proxy.backup.database_copy import copy_whole
from proxy.backup.files import copy_files
from proxy.backup.manifest import DATABASE, BackupError, KeptFile, Manifest, sha256_of
from proxy.timestamps import iso_utc

FOLDER: Final = Path(".daemon") / "backups"  # in a home
PREFIX: Final = "signet-"
IGNORED_BY_GIT: Final = "*\n"  # legacy commits a home that is a git repository, every few seconds


def default_folder(home: Path) -> Path:
    return home / FOLDER


async def make_backup(home: Path, folder: Path, secrets_lock: asyncio.Lock | None = None) -> Path:
    """A new folder `signet-<UTC time>` below `folder`, complete or not there at all. Raises BackupError.

    Only for the process that may open the database. `secrets_lock` is held while the files are copied.
    """
    name = f"{PREFIX}{iso_utc(time.time())[:19].replace(':', '-')}Z"
    draft = folder / f".{name}.{secrets.token_hex(4)}"
    ended = threading.Event()
    try:
        await asyncio.to_thread(_prepare, home, folder, draft)
        content = await copy_whole(home / DATABASE, draft / DATABASE, ended)
        async with secrets_lock or asyncio.Lock():
            files = await asyncio.to_thread(copy_files, home, draft, ended)
        database = await asyncio.to_thread(_described, draft)
        manifest = Manifest(
            format=1,
            made_at=iso_utc(time.time()),
            made_by=f"signet-proxy {__version__}",
            home=str(home),
            schema_version=content.schema_version,
            memories=content.memories,
            files=(database, *files),
        )
        return await asyncio.to_thread(_complete, manifest, draft, folder / name)
    except (OSError, ValueError) as error:  # ValueError: a name that no file system has
        raise BackupError(f"cannot make a backup in {folder}: {error}") from error
    finally:
        ended.set()
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)


def _prepare(home: Path, folder: Path, draft: Path) -> None:
    if not (home / DATABASE).is_file():
        raise BackupError(f"{home / DATABASE} does not exist: there is nothing to back up yet")
    usual = folder.resolve() == default_folder(home).resolve()
    if not usual and folder.resolve().is_relative_to(home.resolve()):
        raise BackupError(
            f"{folder} lies inside of the home, which would be backed up into itself; choose another place"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if usual:
        (folder / ".gitignore").write_text(IGNORED_BY_GIT)
        for left in folder.glob(f".{PREFIX}*"):  # of a process that was killed: there is one at a time for a home
            shutil.rmtree(left, ignore_errors=True)
    draft.mkdir(mode=0o700)  # what is inside is nobody else's, whatever modes the files have
    (draft / DATABASE).parent.mkdir(mode=0o700)


def _described(draft: Path) -> KeptFile:
    path = draft / DATABASE
    path.chmod(0o600)
    return KeptFile(DATABASE, path.stat().st_size, 0o600, sha256_of(path))


def _complete(manifest: Manifest, draft: Path, wanted: Path) -> Path:
    """Under its name only once it is whole, and on the disk; two in one second get two names."""
    manifest.write(draft)
    os.sync()
    for number in range(1, 100):
        target = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if not target.exists():
            draft.rename(target)
            return target
    raise BackupError(f"there are too many backups named {wanted.name}")
