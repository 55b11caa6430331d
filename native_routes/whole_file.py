"""Writing a file so that a reader, and a power cut, meet the old text or the new one and nothing between."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import secrets
import stat
import sys
from pathlib import Path
from typing import Final

_ACCESS_LIST: Final = "system.posix_acl_access"
_DRAFT: Final = re.compile(r"\..{1,50}\.[0-9a-f]{8}\.draft", re.DOTALL)


def replace_file(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Make `content` the file at `path`, which keeps its permissions; `mode` less the umask is for a new one.

    Through a symbolic link the file it points to is written. Where the folder takes no new file, the old one is
    overwritten, as the legacy daemon always does; so is what is no file, such as a device that somebody linked to.
    Blocks on the disk. Raises OSError, and then nothing has changed: also for a file that may not be written, though
    its folder would let another take its place.
    """
    target = Path(os.path.realpath(path))
    old = _status(target)
    if old is not None and not stat.S_ISREG(old.st_mode):
        return _write_into(target, content)
    if old is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    draft = _draft_of(target)
    try:
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except PermissionError:
        return _overwrite(target, content)
    try:
        with open(file, "wb") as written:
            if old is not None:
                _keep_owner(file, target, old)
            written.write(content)
            written.flush()
            os.fsync(file)
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)
    return None


def is_draft(path: Path) -> bool:
    """Whether it is what `replace_file` leaves of a file when the process is killed in the middle."""
    return _DRAFT.fullmatch(path.name) is not None


def _draft_of(target: Path) -> Path:
    return target.with_name(f".{target.name[:50]}.{secrets.token_hex(4)}.draft")


def _status(target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def _write_into(target: Path, content: bytes) -> None:
    """A device or a pipe, which keeps its name; one that takes nothing now is an error. A folder is one too."""
    with open(os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), "wb", buffering=0) as file:
        _write_all(file, content)


def _write_all(file: io.FileIO, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        taken = file.write(rest)
        if taken is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), file.name)
        rest = rest[taken:]


def _overwrite(target: Path, content: bytes) -> None:
    """What is beyond the old end first: it alone needs room, and without it the old text is still there."""
    with target.open("r+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            _write_all(file, content[end:])
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise
        file.seek(0)
        _write_all(file, content[:end])
        file.truncate(len(content))
        os.fsync(file.fileno())


def _keep_owner(file: int, target: Path, old: os.stat_result) -> None:
    with contextlib.suppress(PermissionError):  # only root may give a file away
        os.fchown(file, old.st_uid, old.st_gid)
    _keep_attributes(file, target)
    os.fchmod(file, stat.S_IMODE(old.st_mode))


def _keep_attributes(file: int, target: Path) -> None:
    """The access list above all, or that there is none: with one, the mode's group is its mask, and not what the group
    may do. The folder may have given the draft another one.
    """
    if sys.platform != "linux":
        return
    try:
        names = os.listxattr(target)
    except OSError:
        return  # the file system has none
    if _ACCESS_LIST not in names and _ACCESS_LIST in os.listxattr(file):
        os.removexattr(file, _ACCESS_LIST)
    for name in names:
        with contextlib.nullcontext() if name == _ACCESS_LIST else contextlib.suppress(OSError):
            os.setxattr(file, name, os.getxattr(target, name))


def _sync_folder(folder: Path) -> None:
    """The new name counts after a power cut only when the folder was written too."""
    with contextlib.suppress(OSError):  # a folder that cannot be opened has still got the new name
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
