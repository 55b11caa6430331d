"""The database, when no proxy runs: opened read-only, and only after it was shown that nobody has it open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import httpx

from native_routes import contract
from native_routes.database import Access, Connection, DatabaseCorrupt, DatabaseError, SqliteThread
from proxy.doctor.finding import Finding, degraded, ok, unusable
from proxy.home import HomeError, HomeLock
from proxy.legacy import ports
from proxy.legacy.processes import holders_of
from proxy.settings import Settings

SIGNET_PORTS = (3850, 3851)  # where a daemon of this home may run, whatever the settings here say
HEALTH_TIMEOUT_S = 2.0


def look(settings: Settings) -> Iterator[Finding]:
    path = settings.database_path
    if not path.exists():
        yield ok("database", f"{path} does not exist yet; the legacy daemon makes it")
        return
    try:
        with HomeLock(settings.home_path):  # held meanwhile, so that no proxy starts a daemon now
            reason = _why_not(settings)
            yield ok("database", f"{path} was not opened: {reason}") if reason else _opened(path)
    except (HomeError, OSError) as error:
        yield ok("database", f"{path} was not opened: {error}")


def _why_not(settings: Settings) -> str:
    """Who may have the database open; "" when nobody does."""
    for port in sorted({*SIGNET_PORTS, settings.port, settings.legacy_port} - {0}):
        if not ports.is_free(port) and _may_serve(port, settings):
            return str(ports.port_holder(port))
    holders = holders_of(settings.database_path)
    if holders is None:
        return "this system does not tell who has it open"
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


def _locked(path: Path) -> str:
    """Locks show holders of other users too, whose open files are hidden. Fields as in proc_locks(5)."""
    inode = str(os.stat(path).st_ino)
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if any(field.rpartition(":")[2] == inode and field.count(":") == 2 for field in fields):
            return "somebody holds a lock on it"
    return ""


def _opened(path: Path) -> Finding:
    try:
        version = asyncio.run(_schema_version(path))
    except DatabaseCorrupt as error:
        fix = f"stop everything, then put the newest good {path.name}.bak-v* of that folder in its place"
        return unusable("database", f"{path}: {error}", expected="a SQLite database", fix=fix)
    except DatabaseError as error:
        fix = "make it readable and writable for this user"
        return unusable("database", f"{path}: {error}", expected="a database that opens", fix=fix)
    if version is None:
        fix = "see whether SIGNET_PATH is the right home"
        return degraded("database", f"{path} has no migrations", expected="a database of Signet", fix=fix)
    if version > contract.SCHEMA_VERSION:
        what = f"schema {version} is newer than {contract.SCHEMA_VERSION}"
        return degraded("database", what, expected=f"{contract.SCHEMA_VERSION}", fix="none needed: all is forwarded")
    migrates = ", to be migrated at the next start" if version < contract.SCHEMA_VERSION else ""
    return ok("database", f"schema {version}{migrates}")


async def _schema_version(path: Path) -> int | None:
    thread = SqliteThread(path, Access.READ, keeps_wal=True)
    await thread.open()
    try:
        return await thread.run(_highest_migration)
    finally:
        await thread.close()


def _highest_migration(connection: Connection) -> int | None:
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'").fetchone():
        return None
    row = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
    return None if row is None or row[0] is None else int(row[0])
