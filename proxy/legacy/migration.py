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
    UNPROVEN = "no lock of the daemon on the database is visible"
    UNREADABLE = "this system does not show locks"


def backup_names(database_path: Path) -> frozenset[str]:
    """Copies that legacy made before migrating. Blocking."""
    try:
        names = os.listdir(database_path.parent)
    except OSError:
        return frozenset()
    return frozenset(name for name in names if name.startswith(f"{database_path.name}.bak-v"))


def judge_boot(pid: int, database_path: Path, backups_before: frozenset[str]) -> Boot:
    """What the boot of process `pid`, now ready, did to the database. Blocking.

    UNREADABLE: locks cannot be read (macOS) and the boot left no new copy, so another boot would prove no more.
    """
    if backup_names(database_path) - backups_before:
        return Boot.MIGRATED
    visible = holds_shared_lock(pid, database_path)
    if visible is None:
        return Boot.UNREADABLE
    return Boot.PROVEN if visible else Boot.UNPROVEN
