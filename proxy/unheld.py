"""Whether anybody may have `memories.db` open. Nobody but the supervising proxy opens it while a daemon may run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import httpx

from proxy.legacy import ports
from proxy.legacy.processes import holders_of
from proxy.settings import Settings

SIGNET_PORTS = (3850, 3851)  # where a daemon of this home may run, whatever the settings here say
HEALTH_TIMEOUT_S = 2.0
LSOF_TIMEOUT_S = 30.0


def held_by(settings: Settings) -> str:
    """Who may have the database open; "" when nobody does. To be asked with the home's lock held. Raises OSError."""
    for port in sorted({*SIGNET_PORTS, settings.port, settings.legacy_port} - {0}):
        if not ports.is_free(port) and _may_serve(port, settings):
            return str(ports.port_holder(port))
    holders = holders_of(settings.database_path)
    if holders is None:
        return _told_by_lsof(settings.database_path)
    if holders:
        return f"process {holders[0]} has it open"
    return _locked(settings.database_path)


def _may_serve(port: int, settings: Settings) -> bool:
    """Whether the listener there serves this home. Who does not tell does so on the ports of these settings only."""
    try:
        body = httpx.get(f"http://127.0.0.1:{port}/health", timeout=HEALTH_TIMEOUT_S, trust_env=False).json()
        return bool(Path(body["agentsDir"]).resolve() == settings.home_path.resolve())
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return port in {settings.port, settings.legacy_port}


def _told_by_lsof(path: Path) -> str:
    """Where there is no /proc, as on macOS."""
    try:
        asked = subprocess.run(["lsof", "-t", "--", path], capture_output=True, text=True, timeout=LSOF_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return "this system does not tell who has it open"
    holders = asked.stdout.split()
    return f"process {holders[0]} has it open" if holders else ""


def _locked(path: Path) -> str:
    """Locks show holders of other users too, whose open files are hidden. Fields as in proc_locks(5)."""
    inode = str(os.stat(path).st_ino)
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if any(field.rpartition(":")[2] == inode and field.count(":") == 2 for field in fields):
            return "somebody holds a lock on it"
    return ""
