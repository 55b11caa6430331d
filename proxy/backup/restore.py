"""Putting a backup in the place of a home, with what was there kept beside.

The backup is copied and checked next to its place first; then every file is renamed, so that a full disk or a damaged
backup leaves the home as it was, and a WAL of the old database is never read into the new one.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from native_routes import contract
from proxy.backup.database_copy import look_into
from proxy.backup.make import IGNORED_BY_GIT
from proxy.backup.manifest import DATABASE, BackupError, KeptFile, Manifest
from proxy.home import HomeLock, create_home
from proxy.settings import Settings
from proxy.timestamps import iso_utc
from proxy.unheld import held_by

REPLACED: Final = Path(".daemon") / "replaced"
OF_DATABASE: Final = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    replaced_path: Path  # where the files are that were in the way


def restore(settings: Settings, backup: Path) -> Restored:
    """Blocks. Raises BackupError, HomeError; then the home is as it was.

    Files of the home that the backup does not have stay.
    """
    manifest = Manifest.read(backup)
    if manifest.schema_version > contract.SCHEMA_VERSION:
        raise BackupError(
            f"{backup} has schema {manifest.schema_version}, newer than {contract.SCHEMA_VERSION}, which this"
            " signet-proxy knows; use the newer one that made it"
        )
    home = settings.home_path
    create_home(home, settings.logs_path)
    with HomeLock(home):
        if (home / DATABASE).exists() and (holder := held_by(settings)):
            raise BackupError(f"{home / DATABASE} is in use: {holder}. Stop it first")
        staged = home / ".daemon" / f"restoring-{secrets.token_hex(4)}"
        try:
            _stage(manifest, backup, staged)
            replaced = home / REPLACED / f"{iso_utc(time.time())[:19].replace(':', '-')}Z-{secrets.token_hex(2)}"
            _swap(manifest, home, staged, replaced)
        except OSError as error:
            raise BackupError(f"cannot restore into {home}: {error}") from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return Restored(manifest, replaced)


def _stage(manifest: Manifest, backup: Path, staged: Path) -> None:
    shutil.copytree(backup, staged, symlinks=True)
    manifest.check(staged)
    content = asyncio.run(look_into(staged / DATABASE))
    if (content.schema_version, content.memories) != (manifest.schema_version, manifest.memories):
        raise BackupError(f"{backup} is damaged: its database holds {content}, its manifest says otherwise")


def _swap(manifest: Manifest, home: Path, staged: Path, replaced: Path) -> None:
    """The database last: until then the old one is in its place, and a second try finds all of the backup again."""
    replaced.mkdir(mode=0o700, parents=True)
    (replaced.parent / ".gitignore").write_text(IGNORED_BY_GIT)
    done: list[tuple[Path, Path]] = []
    try:
        for file in sorted(manifest.files, key=_database_last):
            for suffix in OF_DATABASE if file.path == DATABASE else ("",):
                _move(home / (file.path + suffix), replaced / (file.path + suffix), done)
            _move(staged / file.path, home / file.path, done)
    except OSError:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _move(source: Path, target: Path, done: list[tuple[Path, Path]]) -> None:
    if os.path.lexists(source):
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        done.append((source, target))


def _database_last(file: KeptFile) -> tuple[bool, str]:
    return file.path == DATABASE, file.path
