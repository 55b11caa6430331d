"""What Bun says of a file that the system refuses; some routes answer with it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

_WORDS: Final = {
    "EACCES": "permission denied",
    "EEXIST": "file already exists",
    "EFBIG": "file is too large",
    "EISDIR": "illegal operation on a directory",
    "ELOOP": "too many symbolic links encountered",
    "ENAMETOOLONG": "name too long",
    "ENOENT": "no such file or directory",
    "ENOSPC": "no space left on device",
    "ENOTDIR": "not a directory",
    "EPERM": "operation not permitted",
    "EROFS": "read-only file system",
}


def file_problem(error: OSError, call: str, path: Path) -> str:
    """`call` is what was asked of the system: open, mkdir. Other errors are told as Python tells them."""
    code = errno.errorcode.get(error.errno or 0, "")
    return f"{code}: {_WORDS[code]}, {call} '{path}'" if code in _WORDS else str(error)
