"""A consistent copy of the database while it is in use, by SQLite's own backup, and what is in the copy."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from native_routes.database import Access, Connection, DatabaseError, DatabaseFull, Query, copy_database
from native_routes.sqlite_thread import SqliteThread
from proxy.backup.manifest import BackupError

COPY_WITHIN_S = 600.0


@dataclass(frozen=True, slots=True)
class _Number:
    number: int | None


SCHEMA = Query("SELECT max(version) AS number FROM schema_migrations", row=_Number)
MEMORIES = Query("SELECT count(*) AS number FROM memories", row=_Number)


@dataclass(frozen=True, slots=True)
class Content:
    schema_version: int
    memories: int


async def copy_whole(source: Path, target: Path, ended: threading.Event) -> Content:
    """Copy a database of Signet, whoever writes to it meanwhile, and look whether the copy is sound.

    Only for the process that may open `source`. Cancelled, it sets `ended`. Raises BackupError.
    """
    thread = SqliteThread(source, Access.READ, keeps_wal=True)
    try:
        await thread.open()
        await thread.run_within(COPY_WITHIN_S, copy_database, target, ended)
    except DatabaseError as error:
        why = "no space left" if isinstance(error, DatabaseFull) else error  # of a copy SQLite tells no more
        raise BackupError(f"{source} cannot be copied to {target}: {why}") from error
    except BaseException:
        ended.set()
        raise
    finally:
        await thread.close()
    return await look_into(target)


async def look_into(path: Path) -> Content:
    """What a copy holds. Raises BackupError when it is damaged, or no database of Signet."""
    thread = SqliteThread(path, Access.WRITE)  # one that may write tidies up behind itself
    try:
        await thread.open()
        return await thread.run_within(COPY_WITHIN_S, _look)
    except DatabaseError as error:
        raise BackupError(f"{path} is no sound database of Signet: {error}") from error
    finally:
        await thread.close()


async def fold_log(path: Path) -> None:
    """Bring the write-ahead log into the database where that can be done, so that one file is all of it.

    Only for whoever knows that nobody else has it open.
    """
    thread = SqliteThread(path, Access.WRITE)
    try:
        await thread.open()
        await thread.run(lambda connection: connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall())
    except DatabaseError:
        return  # damaged, or no room: the log stays beside it
    finally:
        await thread.close()


def _look(connection: Connection) -> Content:
    problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise DatabaseError("; ".join(problems))
    schema, memories = SCHEMA.one(connection), MEMORIES.one(connection)
    return Content((schema and schema.number) or 0, (memories and memories.number) or 0)
