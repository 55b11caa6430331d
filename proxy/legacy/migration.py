"""Whether a boot migrated the database, found out without opening it.

A daemon that migrates first copies the database inside its own process. Closing that copy's source drops the POSIX lock
that its SQLite connection holds on the same file (fcntl(2): locks are per process and file), and SQLite never takes it
again. Another process that then opens and closes the database believes it is the last one and unlinks the WAL under
the running daemon; what is committed afterwards is lost. A second boot has nothing to migrate and keeps its lock.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from proxy.legacy.locks import holds_shared_lock


class Boot(Enum):
    PROVEN = "the daemon holds its lock on the database"
    MIGRATED = "the database was migrated during this boot"
    UNPROVEN = "no lock of the daemon is visible"


def backup_names(database_path: Path) -> frozenset[str]:
    """Copies that legacy made before migrating. Blocking."""
    try:
        names = os.listdir(database_path.parent)
    except OSError:
        return frozenset()
    return frozenset(name for name in names if name.startswith(f"{database_path.name}.bak-v"))


def judge_boot(pid: int, database_path: Path, backups_before: frozenset[str]) -> Boot:
    """What the boot of process `pid`, now ready, did to the database. Blocking.

    Where locks cannot be read (macOS), a boot that left no new copy is UNPROVEN, which only keeps native answers off.
    """
    if backup_names(database_path) - backups_before:
        return Boot.MIGRATED
    return Boot.PROVEN if holds_shared_lock(pid, database_path) else Boot.UNPROVEN
