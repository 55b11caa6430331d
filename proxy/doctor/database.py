"""The database, when no proxy runs: opened read-only, and only after it was shown that nobody has it open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from native_routes import contract
from native_routes.database import Access, Connection, DatabaseCorrupt, DatabaseError
from native_routes.sqlite_thread import SqliteThread
from proxy.doctor.finding import Finding, degraded, ok, unusable
from proxy.home import HomeError, HomeLock
from proxy.settings import Settings
from proxy.unheld import held_by


def look(settings: Settings) -> Iterator[Finding]:
    path = settings.database_path
    if not path.exists():
        yield ok("database", f"{path} does not exist yet; the legacy daemon makes it")
        return
    try:
        with HomeLock(settings.home_path):  # held meanwhile, so that no proxy starts a daemon now
            reason = held_by(settings)
            yield ok("database", f"{path} was not opened: {reason}") if reason else _opened(path)
    except (HomeError, OSError) as error:
        yield ok("database", f"{path} was not opened: {error}")


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
