"""Vector search for the whole process: one thread with a connection of its own, on which searches run to their end.

One thread on purpose: Python runs one at a time anyway, and several that take turns at every SQLite call spent a third
of the processor on changing places. Queries that wait together share one pass over the vectors, and one snapshot.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from native_routes.database import (
    Access,
    Connection,
    DatabaseError,
    DatabaseUnopened,
    DeadlineExceeded,
    Reader,
    SqliteThread,
    VectorSearchUnavailable,
    load_vector_search,
    translated,
)
from native_routes.searching.embedders import Vector
from native_routes.searching.vector_index import Nearest, Neighbour, VectorIndex, VectorMode, VectorStatus

__all__ = ["MEMORY_LIMIT_BYTES", "Neighbour", "VectorMode", "VectorSearch", "VectorStatus"]

T = TypeVar("T")
Work = Callable[[Connection, list[Neighbour]], T]

MEMORY_LIMIT_BYTES: Final = 1024**3  # 348,000 vectors of 768 dimensions
MOST_NEIGHBOURS: Final = 4_096  # sqlite-vec's limit
BATCH: Final = 16  # searches in one go: a pass for sixteen takes twice as long as for one
WAITING: Final = 512  # searches; more would only wait until their deadline
DEADLINE_S: Final = 10.0
WARM_WITHIN_S: Final = 60.0
WRITE_WITHIN_S: Final = 0.05  # how long answers wait for a lock that another program holds; then the write comes later
WRITE_AT_MOST_S: Final = 5.0  # on a disk that is slow
WRITE_AGAIN_S: Final = 0.25
LAST_WRITE_S: Final = 2.0
ASIDE_WITHIN_S: Final = 4.0
ASIDE_WAITING: Final = 64


class Books(Protocol):
    """What searches leave to be written."""

    @property
    def due(self) -> bool: ...
    def write(self, connection: Connection) -> None: ...  # outside of any transaction; raises DatabaseError
    def give_up(self) -> None: ...


@dataclass(slots=True, eq=False)
class _Search:
    question: Nearest | None  # None: no vector is searched
    work: Work[Any]
    answer: asyncio.Future[Any]


_Outcome = tuple[Any, Exception | None]


class VectorSearch:
    """One for the process. Nothing is opened before the first search or `warm`, so the anchor is held by then."""

    def __init__(self, path: Path, *, limit_bytes: int = MEMORY_LIMIT_BYTES, books: Books | None = None) -> None:
        """`books` are written behind each batch of searches, before these are answered."""
        self._path = path
        self._books = books
        self._write_within_s = WRITE_WITHIN_S
        self._write_from_s = 0.0  # on the loop's clock; later than now while the database is locked
        self._index = VectorIndex(limit_bytes)
        self._no_vectors: str | None = None  # why the connection has no sqlite-vec
        self._thread: SqliteThread | None = None
        self._opening = asyncio.Lock()
        self._aside = Reader(path, threads=1, waiting=ASIDE_WAITING)
        self._is_aside_busy = False
        self._waiting: list[_Search] = []
        self._batches: asyncio.Task[None] | None = None

    @property
    def status(self) -> VectorStatus:
        return self._index.status if self._no_vectors is None else VectorStatus(VectorMode.OFF, self._no_vectors)

    async def run(self, vector: Vector | None, count: float, work: Work[T]) -> T:
        """What `work(connection, nearest)` returns on the thread, in one snapshot.

        `nearest` are the `count` stored vectors nearest to `vector`, nearest first; [] without a vector, and where
        vectors cannot be searched or lengths do not fit. Raises DatabaseError.
        """
        await self._open()
        if len(self._waiting) >= WAITING:
            raise DatabaseUnopened(f"{WAITING} searches are waiting already")
        searched = vector is not None and not math.isnan(count) and 0 < count <= MOST_NEIGHBOURS
        question = Nearest(vector, int(count)) if searched and vector is not None else None
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Search(question, work, answer))
        self._begin()
        return await answer

    async def run_aside(self, work: Callable[[Connection], T]) -> T:
        """What `work(connection)` returns, on a second thread, for what SQLite cannot stop in the middle.

        Raises DeadlineExceeded after ASIDE_WITHIN_S, though the thread may go on and then keeps others waiting; or
        another DatabaseError.
        """

        def noted(connection: Connection) -> T:
            self._is_aside_busy = True
            try:
                return work(connection)
            finally:
                self._is_aside_busy = False

        return await self._aside.run(noted, deadline_s=ASIDE_WITHIN_S)

    async def warm(self) -> None:
        """Read the vectors into memory now, so that the first search need not wait for it. Raises DatabaseError."""
        thread = await self._open()
        await thread.run_within(WARM_WITHIN_S, self._answer, [])

    async def close(self) -> None:
        """Answer what waits, write what is due, then close; the WAL stays as it is. Idempotent."""
        if self._batches is not None:
            await asyncio.wait([self._batches])
        if not self._is_aside_busy:  # else its thread ends with the process, which must not wait for it
            await self._aside.close()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._books is not None and self._books.due:
            with contextlib.suppress(DatabaseError):  # the books know the problem
                await thread.run_within(LAST_WRITE_S, self._books.write)
            self._books.give_up()
        await thread.close()

    async def _open(self) -> SqliteThread:
        if self._thread is not None:
            return self._thread
        async with self._opening:
            if self._thread is None:
                access = Access.READ if self._books is None else Access.WRITE
                thread = SqliteThread(self._path, access, keeps_wal=True)
                await thread.open()
                await thread.run(_keep_pages)
                try:
                    await thread.run(load_vector_search)
                except (DatabaseError, VectorSearchUnavailable) as error:
                    self._no_vectors = str(error)  # words alone are searched
                else:
                    self._no_vectors = None
                self._thread = thread
            return self._thread

    def _begin(self) -> None:
        if self._batches is None or self._batches.done():
            self._batches = asyncio.get_running_loop().create_task(self._answer_waiting())

    async def _answer_waiting(self) -> None:
        await self._write_books()
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            batch = [search for search in batch if not search.answer.done()]  # the others' callers are gone
            outcomes: list[_Outcome]
            try:
                assert self._thread is not None
                outcomes = await self._thread.run_within(DEADLINE_S, self._answer, batch)
            except Exception as error:  # told to every caller: nobody may wait for ever
                outcomes = [(None, error)] * len(batch)
            await self._write_books()
            for search, (result, problem) in zip(batch, outcomes, strict=True):
                _settle(search.answer, result, problem)

    async def _write_books(self) -> None:
        """Write what is due, or begin again later when another program keeps the database locked."""
        books, thread, loop = self._books, self._thread, asyncio.get_running_loop()
        if books is None or thread is None or not books.due or loop.time() < self._write_from_s:
            return
        try:
            await thread.run_within(self._write_within_s, books.write)
        except DatabaseError as error:
            if isinstance(error, DeadlineExceeded):
                self._write_within_s = min(2 * self._write_within_s, WRITE_AT_MOST_S)
            self._write_from_s = loop.time() + WRITE_AGAIN_S
            loop.call_later(WRITE_AGAIN_S, self._begin)

    # ---- on the thread

    def _answer(self, connection: Connection, batch: list[_Search]) -> list[_Outcome]:
        connection.execute("BEGIN")
        try:
            questions = [search.question for search in batch if search.question is not None]
            found = iter(self._nearest(connection, questions))
            nearest = [[] if search.question is None else next(found) for search in batch]
            return [_outcome(search.work, connection, near) for search, near in zip(batch, nearest, strict=True)]
        finally:
            connection.execute("ROLLBACK")

    def _nearest(self, connection: Connection, questions: list[Nearest]) -> list[list[Neighbour]]:
        if self._no_vectors is not None:
            return [[] for _ in questions]
        return self._index.answer(connection, questions)


def _keep_pages(connection: Connection) -> None:
    """More of the file in memory than SQLite's default of 2 MB; it is filled as searches read, and no further."""
    connection.execute("PRAGMA cache_size = -16384")


def _outcome(work: Work[Any], connection: Connection, nearest: list[Neighbour]) -> _Outcome:
    try:
        with translated():
            return work(connection, nearest), None
    except Exception as error:  # of this search alone; its caller gets it
        return None, error


def _settle(answer: asyncio.Future[Any], result: Any, problem: Exception | None) -> None:
    if answer.done():
        return
    if problem is None:
        answer.set_result(result)
    else:
        answer.set_exception(problem)
