"""Putting a backup in the place of a home, with what was there kept beside.

The backup is copied and checked next to its place first; then every file is renamed, so that a full disk or a damaged
backup leaves the home as it was, and a WAL of the old database is never read into the new one. Killed in the middle,
it is run again: each file is the old or the new one, the database too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from native_routes import contract
from proxy.backup.database_copy import fold_log, look_into
from proxy.backup.make import IGNORED_BY_GIT
from proxy.backup.manifest import DATABASE, BackupError, KeptFile, Manifest
from proxy.home import HomeLock, create_home
from proxy.settings import Settings
from proxy.timestamps import iso_utc
from proxy.unheld import held_by

REPLACED: Final = Path(".daemon") / "replaced"
STAGED: Final = "restoring-"
BESIDE_DATABASE: Final = ("-wal", "-shm", "-journal")


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
        _refuse_held(settings)
        for left in (home / ".daemon").glob(f"{STAGED}*"):  # of a restore that was killed
            shutil.rmtree(left, ignore_errors=True)
        staged = home / ".daemon" / f"{STAGED}{secrets.token_hex(4)}"
        try:
            _stage(manifest, backup, staged)
            _refuse_held(settings)  # copying may have taken long
            replaced = home / REPLACED / f"{iso_utc(time.time())[:19].replace(':', '-')}Z-{secrets.token_hex(2)}"
            _Swap(home, staged, replaced).run(manifest)
        except OSError as error:
            raise BackupError(f"cannot restore into {home}: {error}") from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return Restored(manifest, replaced)


def _refuse_held(settings: Settings) -> None:
    database = settings.home_path / DATABASE
    if database.exists() and (holder := held_by(settings)):
        raise BackupError(f"{database} is in use: {holder}. Stop it first")


def _stage(manifest: Manifest, backup: Path, staged: Path) -> None:
    try:
        shutil.copytree(backup, staged, symlinks=True)
    except shutil.Error as error:  # a list of what could not be copied
        path, _, why = error.args[0][0]
        raise BackupError(f"cannot copy {path}: {why}") from error
    manifest.check(staged)
    for file in manifest.files:
        if not file.target:
            (staged / file.path).chmod(file.mode)  # the backup may have been kept where there are no modes
    content = asyncio.run(look_into(staged / DATABASE))
    if (content.schema_version, content.memories) != (manifest.schema_version, manifest.memories):
        raise BackupError(f"{backup} is damaged: its database holds {content}, its manifest says otherwise")
    os.sync()  # a name must not be on the disk before what it names


class _Swap:
    """The renaming, and its way back."""

    def __init__(self, home: Path, staged: Path, replaced: Path) -> None:
        self._home = home
        self._staged = staged
        self._replaced = replaced
        self._done: list[tuple[Path | None, Path]] = []  # from, to; from nowhere: a folder that was made

    def run(self, manifest: Manifest) -> None:
        """The database last: until then the old one is in its place. Raises OSError; then all is back."""
        if (self._home / DATABASE).exists():
            asyncio.run(fold_log(self._home / DATABASE))
        self._replaced.mkdir(mode=0o700, parents=True)
        (self._replaced.parent / ".gitignore").write_text(IGNORED_BY_GIT)
        try:
            for file in sorted(manifest.files, key=_database_last):
                self._clear_way(file)
                self._keep(file.path)
                if file.path == DATABASE:
                    for suffix in BESIDE_DATABASE:
                        self._set_aside(file.path + suffix)
                self._rename(self._staged / file.path, self._home / file.path)
        except BaseException:
            self._undo()
            raise
        os.sync()

    def _clear_way(self, file: KeptFile) -> None:
        """Where the backup has a folder, what is none is set aside, and so is a link: it may lead to anybody's."""
        for parent in [*reversed(Path(file.path).parents)][1:]:
            there = self._home / parent
            is_in_way = there.is_symlink() or not there.is_dir()
            if is_in_way and parent != Path(".daemon"):  # ours, and its lock is held
                self._set_aside(str(parent))

    def _keep(self, path: str) -> None:
        """By a second name, so that there is no moment without a file in this place; a folder is moved."""
        source, target = self._home / path, self._replaced / path
        if not os.path.lexists(source):
            return
        try:
            self._make_folder(target.parent)
            os.link(source, target, follow_symlinks=False)
            self._done.append((source, target))
        except OSError:  # a folder, or a file system without links
            self._set_aside(path)

    def _set_aside(self, path: str) -> None:
        if os.path.lexists(self._home / path):
            self._rename(self._home / path, self._replaced / path)

    def _rename(self, source: Path, target: Path) -> None:
        self._make_folder(target.parent)
        source.rename(target)
        self._done.append((source, target))

    def _make_folder(self, path: Path) -> None:
        if not path.is_dir():
            self._make_folder(path.parent)
            path.mkdir(mode=0o700)
            self._done.append((None, path))

    def _undo(self) -> None:
        for source, target in reversed(self._done):
            with contextlib.suppress(OSError):  # as much as can be
                if source is None:
                    target.rmdir()
                    continue
                target.rename(source)
                target.unlink(missing_ok=True)  # still there where both are names of one file


def _database_last(file: KeptFile) -> tuple[bool, str]:
    return file.path == DATABASE, file.path
