"""Whether a daemon holds its lock on the database, seen from outside and without opening the database."""

from __future__ import annotations

import os
from pathlib import Path

_LOCKS_PATH = Path("/proc/locks")
# SQLite keeps a read lock on these bytes of the main file for as long as a WAL connection is open.
# Source: sqlite3 os.h, PENDING_BYTE 0x40000000: SHARED_FIRST = +2, SHARED_SIZE = 510.
SHARED_FIRST = 0x40000000 + 2
SHARED_LAST = SHARED_FIRST + 510 - 1


def holds_shared_lock(pid: int, database_path: Path) -> bool | None:
    """Whether process `pid` has the lock that keeps others from deleting the WAL. None where locks cannot be read.

    The device is not compared: btrfs and overlayfs report another one to stat(2) than to /proc/locks. Blocking.
    """
    try:
        lines = _LOCKS_PATH.read_text().splitlines()
    except OSError:
        return None
    try:
        inode = os.stat(database_path).st_ino
    except OSError:
        return False
    return any(_is_shared_lock(line.split(), pid, inode) for line in lines)


def _is_shared_lock(fields: list[str], pid: int, inode: int) -> bool:
    """Fields of proc_locks(5): ordinal, POSIX, ADVISORY, READ, pid, major:minor:inode, first, last byte."""
    if len(fields) != 8 or fields[1] != "POSIX" or fields[4] != str(pid):
        return False
    if fields[5].rpartition(":")[2] != str(inode):
        return False
    return int(fields[6]) <= SHARED_FIRST and (fields[7] == "EOF" or int(fields[7]) >= SHARED_LAST)
