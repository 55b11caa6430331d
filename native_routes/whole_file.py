"""Writing a file so that a reader, and a power cut, meet the old text or the new one and nothing between."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path


def replace_file(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Make `content` the file at `path`, which keeps its permissions; `mode` less the umask is for a new one.

    Through a symbolic link the file it points to is written. Where the folder takes no new file, the old one is
    overwritten, as the legacy daemon always does. Blocks on the disk. Raises OSError, and then nothing has changed.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name[:50]}.{secrets.token_hex(4)}.draft")
    try:
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except PermissionError:
        return _overwrite(target, content)
    try:
        with open(file, "wb") as written:
            with contextlib.suppress(FileNotFoundError):
                _keep_owner(file, target.stat())
            written.write(content)
            written.flush()
            os.fsync(file)
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)
    return None


def _overwrite(target: Path, content: bytes) -> None:
    with target.open("r+b") as file:
        file.truncate()
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _keep_owner(file: int, old: os.stat_result) -> None:
    os.fchmod(file, stat.S_IMODE(old.st_mode))
    with contextlib.suppress(PermissionError):  # only root may give a file away
        os.fchown(file, old.st_uid, old.st_gid)


def _sync_folder(folder: Path) -> None:
    """The new name counts after a power cut only when the folder was written too."""
    with contextlib.suppress(OSError):  # a folder that cannot be opened has still got the new name
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
