"""The files of a home that a backup keeps: what a person or the agent wrote, and keys; not what is made anew."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from native_routes.whole_file import is_draft
from proxy.backup.manifest import NAME, BackupError, KeptFile, sha256_of

LEFT_OUT: Final = frozenset({".git", ".models", "node_modules", "__pycache__"})  # folders, wherever they are
FOLLOWED: Final = frozenset({"memory", ".daemon", ".secrets"})  # at the top of the home, also as links to elsewhere
KEPT_OF_DAEMON: Final = frozenset({"auth-secret", "cutover.yaml"})  # of .daemon; the rest is of this run
_DATABASE: Final = "memories.db"


def copy_files(home: Path, backup: Path, ended: threading.Event) -> list[KeptFile]:
    """Copy them, the database excepted; files that vanish meanwhile are left out.

    Symbolic links are kept as links. Blocks. Raises OSError; BackupError once `ended` is set.
    """
    kept = []
    for path in _kept(home, home):
        if ended.is_set():
            raise BackupError("the backup was given up")
        name = path.relative_to(home).as_posix()
        target = backup / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            kept.append(_copy(path, target, name))
        except FileNotFoundError:
            continue
    return kept


def _copy(path: Path, target: Path, name: str) -> KeptFile:
    state = path.lstat()
    if stat.S_ISLNK(state.st_mode):
        os.symlink(path.readlink(), target)
        return KeptFile(name, 0, 0, target=str(path.readlink()))
    shutil.copyfile(path, target)
    target.chmod(stat.S_IMODE(state.st_mode))
    return KeptFile(name, target.stat().st_size, stat.S_IMODE(state.st_mode), sha256_of(target))


def _kept(home: Path, folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=folder == home and entry.name in FOLLOWED):
            if entry.name not in LEFT_OUT:
                yield from _kept(home, path)
        elif (entry.is_file(follow_symlinks=False) or entry.is_symlink()) and _is_kept(path.relative_to(home)):
            yield path


def _is_kept(path: Path) -> bool:
    if path.parts[0] == ".daemon":
        return len(path.parts) == 2 and path.name in KEPT_OF_DAEMON
    if path == Path(NAME):
        return False  # of a backup that somebody copied into the home by hand
    is_database = path.parts[:-1] == ("memory",) and path.name.startswith(_DATABASE)  # its WAL and legacy's copies too
    return not is_database and not is_draft(path)
