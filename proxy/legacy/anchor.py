"""The connection that keeps the database's WAL in place for as long as a legacy daemon may use it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from native_routes.database import Access, Connection, DatabaseError
from native_routes.sqlite_thread import SqliteThread
from proxy.legacy.processes import holders_of


class Anchor:
    """One native connection that has read once and holds no transaction.

    From its first read until `release` it keeps SQLite's shared lock on the file, so nobody who opens and closes the
    database is the last one, and nobody unlinks the WAL. It never blocks legacy: a checkpoint and a migration only wait
    for open transactions.

    It is opened once and kept across every exit and boot of the child, planned or not. That is the safe order in each
    case: a child that dies leaves commits in the WAL, which the next one finds because nobody removed it; a next boot
    that migrates loses its own lock, and ours still stands. The only dangerous moment is closing it while a daemon
    runs, so `release` is called when none does, and even then the close does not touch the WAL if another process is
    seen to have the file open.
    """

    def __init__(self, database_path: Path) -> None:
        self._path = database_path
        self._thread: SqliteThread | None = None
        self._inode: int | None = None

    @property
    def is_held(self) -> bool:
        return self._thread is not None and self._thread.is_open

    async def hold(self) -> int | None:
        """The schema version, read through the connection, which stays open. Raises DatabaseError.

        Opens anew when the file was replaced: the old connection guards a file that no longer has a name.
        """
        inode = (await asyncio.to_thread(_inode, self._path)) or None
        if self._thread is not None and inode != self._inode:
            await self._close(keeps_wal=True)
        if self._thread is None:
            thread = SqliteThread(self._path, Access.WRITE, keeps_wal=True)
            await thread.open()
            self._thread, self._inode = thread, inode
        try:
            return await self._thread.run(_schema_version)
        except DatabaseError:
            await self._close(keeps_wal=True)
            raise

    async def release(self, *, legacy_is_gone: bool) -> None:
        """Close. Idempotent.

        With legacy gone and the file open nowhere else, the WAL is folded into it: who copies the home finds one
        complete file. Otherwise the WAL is not touched.
        """
        if self._thread is None:
            return
        others = await asyncio.to_thread(holders_of, self._path) if legacy_is_gone else None
        await self._close(keeps_wal=others is None or len(others) > 0)

    async def _close(self, *, keeps_wal: bool) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.close(keeps_wal=keeps_wal)


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _schema_version(connection: Connection) -> int | None:
    # `get` runs each statement to its end; a statement left half-way would hold a read transaction.
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'").get is None:
        return None
    version = connection.execute("SELECT max(version) FROM schema_migrations").get
    return version if isinstance(version, int) else None
