"""One state of memories.db, held open while legacy answers, so that a native answer can be made from what legacy saw.

Read-only connections of their own, each on its thread: a snapshot that lasts must not take one from native answers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, TypeVarTuple

from native_routes.database import (
    Access,
    Connection,
    DatabaseError,
    DeadlineExceeded,
    VectorSearchUnavailable,
    load_vector_search,
    translated,
)
from native_routes.sqlite_thread import DEFAULT_DEADLINE_S, SqliteThread

if TYPE_CHECKING:  # they import numpy
    from native_routes.recall.search import Searcher
    from native_routes.searching.embedders import Vector
    from native_routes.searching.vectors import Neighbour

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
MOST_NEIGHBOURS: Final = 4_096  # sqlite-vec's limit
BEGIN_WITHIN_S: Final = 0.02  # a user waits for it


class Snapshot:
    """One connection. Between `begin` and `end` all that is read is one state; stands for a group's `reader`."""

    def __init__(self, path: Path) -> None:
        self._thread = SqliteThread(path, Access.READ, keeps_wal=True)
        self.vectors = False  # whether vec0 tables can be read; named as Reader's
        self._searcher: Searcher | None = None

    async def open(self) -> None:
        """Raises DatabaseError."""
        await self._thread.open()
        try:
            await self._thread.run(load_vector_search)
            self.vectors = True
        except VectorSearchUnavailable:
            pass  # native answers have none either

    async def begin(self) -> int:
        """Fix the state that is seen from here on; its number, which is another one after any commit of others.

        Raises DatabaseError, also when that takes longer than a user should wait.
        """
        return await self._thread.run_within(BEGIN_WITHIN_S, _begin)

    async def renew(self) -> int:
        """As `begin`, for the state as it is now, when nobody waits."""
        return await self._thread.run(_begin)

    async def run(self, work: Callable[[Connection, *Ts], T], *args: *Ts, deadline_s: float = DEFAULT_DEADLINE_S) -> T:
        return await self._thread.run_within(deadline_s, lambda connection: work(connection, *args))

    async def end(self) -> None:
        """Let the state go: as long as it is held, SQLite's log cannot be folded into the file."""
        await self._thread.run(_end)

    async def close(self) -> None:
        await self._thread.close()

    @property
    def searcher(self) -> Searcher:
        """A search that counts no access, with what it remembers belonging to this connection."""
        if self._searcher is None:
            from native_routes.recall.search import Searcher

            self._searcher = Searcher()
        return self._searcher


class SnapshotSearch:
    """Stands for `VectorSearch`: the same answers from sqlite-vec itself, as a second matrix would cost too much."""

    def __init__(self, snapshot: Snapshot, status: Any) -> None:
        self._snapshot = snapshot
        self.status = status

    async def run(self, vector: Vector | None, count: float, work: Callable[[Connection, list[Neighbour]], T]) -> T:
        """As `VectorSearch.run`."""
        searched = self._snapshot.vectors and vector is not None
        if not searched or math.isnan(count) or not 0 < count <= MOST_NEIGHBOURS:
            return await self._snapshot.run(lambda connection: work(connection, []))
        assert vector is not None
        encoded, wanted = vector.tobytes(), int(count)
        return await self._snapshot.run(lambda connection: work(connection, _nearest(connection, encoded, wanted)))

    async def run_aside(self, work: Callable[[Connection], T]) -> T:
        """As `VectorSearch.run_aside`, though not on another thread: nobody waits for it."""
        return await self._snapshot.run(work)


class SnapshotServices:
    """The process's services on a snapshot: what is read is what legacy saw, nothing is counted, nothing is written."""

    def __init__(self, services: Any, snapshot: Snapshot) -> None:
        self._services = services
        self.reader = snapshot
        self._snapshot = snapshot

    def __getattr__(self, name: str) -> Any:
        return getattr(self._services, name)

    @property
    def vectors(self) -> SnapshotSearch:
        return SnapshotSearch(self._snapshot, self._services.vectors.status)

    @property
    def searcher(self) -> Any:
        return self._snapshot.searcher

    @property
    def writer(self) -> NoReturn:
        raise PermissionError("a route that is compared in shadow may not write")


class Snapshots:
    """At most `count` at once. Opening one takes milliseconds, so it is done while nobody waits."""

    def __init__(self, path: Path, count: int) -> None:
        self._path = path
        self._count = count
        self._open: list[Snapshot] = []
        self._idle: list[Snapshot] = []
        self._opening: asyncio.Task[None] | None = None
        self._closed = False

    def take(self) -> Snapshot | None:
        """A free one; None when all are taken or still to be opened, which then begins."""
        if self._idle:
            return self._idle.pop()
        if len(self._open) < self._count and not self._closed and (self._opening is None or self._opening.done()):
            self._opening = asyncio.get_running_loop().create_task(self._open_one())
        return None

    async def give_back(self, snapshot: Snapshot) -> None:
        """End it and keep the connection; one that fails is closed, and another may be opened in its place."""
        try:
            await snapshot.end()
        except DatabaseError:
            self._open.remove(snapshot)
            await snapshot.close()
        else:
            self._idle.append(snapshot)

    async def close(self) -> None:
        """Close every connection, those that were not given back, too."""
        self._closed = True
        if self._opening is not None:
            await asyncio.wait([self._opening])
        self._idle.clear()
        while self._open:
            await self._open.pop().close()

    async def _open_one(self) -> None:
        snapshot = Snapshot(self._path)
        try:
            await snapshot.open()
        except DatabaseError:
            await snapshot.close()
        else:
            self._open.append(snapshot)
            self._idle.append(snapshot)


def _begin(connection: Connection) -> int:
    _end(connection)
    connection.execute("BEGIN")
    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # BEGIN alone takes no snapshot yet
    rows: list[tuple[Any, ...]] = connection.execute("PRAGMA data_version").fetchall()
    return int(rows[0][0])


def _end(connection: Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")  # nothing was written


def _nearest(connection: Connection, vector: bytes, count: int) -> list[Neighbour]:
    from native_routes.searching.vector_index import NEAREST

    try:
        with translated():
            return NEAREST.all(connection, vector=vector, count=count)
    except DeadlineExceeded:
        raise
    except DatabaseError:
        return []  # another length, or no such table: words alone then find, as in VectorIndex
