"""Vector search for the whole process: one thread with a connection of its own, on which searches run to their end.

One thread on purpose: Python runs one at a time anyway, and several that take turns at every SQLite call spent a third
of the processor on changing places. Queries that wait together share one pass over the vectors, and are answered some
at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from native_routes.database import (
    Access,
    Connection,
    DatabaseError,
    DatabaseUnopened,
    VectorSearchUnavailable,
    load_vector_search,
    show_words,
    translated,
)
from native_routes.reader import Reader
from native_routes.searching.embedders import Vector
from native_routes.searching.vector_form import VectorForm
from native_routes.searching.vector_index import Nearest, Neighbour, VectorIndex, VectorMode, VectorStatus
from native_routes.sqlite_thread import SqliteThread, settle
from native_routes.wal_checkpoints import Checkpoints

__all__ = ["MEMORY_LIMIT_BYTES", "Neighbour", "VectorMode", "VectorSearch", "VectorStatus"]

T = TypeVar("T")
Work = Callable[[Connection, list[Neighbour]], T]

MEMORY_LIMIT_BYTES: Final = 1024**3
MOST_NEIGHBOURS: Final = 4_096  # sqlite-vec's limit
BATCH: Final = 16  # searches in one go: a pass for sixteen takes three times as long as for one
WAITING: Final = 512  # searches; more would only wait until their deadline
DEADLINE_S: Final = 10.0
WARM_WITHIN_S: Final = 60.0
ANSWERED_TOGETHER: Final = 4  # of a batch, so that callers go on while the rest is searched
LOCK_WITHIN_S: Final = 0.05  # how long answers wait for a lock that another program holds; then the write comes later
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


_Outcome = tuple[asyncio.Future[Any], Any, Exception | None]


class VectorSearch:
    """One for the process. Nothing is opened before the first search or `warm`, so the anchor is held by then."""

    def __init__(
        self,
        path: Path,
        *,
        form: VectorForm = VectorForm.FLOAT32,
        limit_bytes: int = MEMORY_LIMIT_BYTES,
        books: Books | None = None,
    ) -> None:
        """`books` are written behind each batch of searches, before these are answered."""
        self._path = path
        self._books = books
        self._write_from_s = 0.0  # on the monotonic clock; later than now while the database is locked
        self._index = VectorIndex(form, limit_bytes)
        self._version = -1  # of the database, at the last batch
        self._no_vectors: str | None = None  # why the connection has no sqlite-vec
        self._thread: SqliteThread | None = None
        self._copying: SqliteThread | None = None  # copies the log into the file, so that answers do not wait for it
        self._checkpoints: Checkpoints | None = None
        self._opening = asyncio.Lock()
        self._aside = Reader(path, threads=1, waiting=ASIDE_WAITING)
        self._is_aside_busy = False
        self._waiting: list[_Search] = []
        self._batches: asyncio.Task[None] | None = None

    @property
    def status(self) -> VectorStatus:
        return self._index.status if self._no_vectors is None else VectorStatus(VectorMode.OFF, self._no_vectors)

    async def run(self, vector: Vector | None, count: float, work: Work[T]) -> T:
        """What `work(connection, nearest)` returns on the thread; all that it reads is one state of the database.

        `nearest` are the `count` stored vectors nearest to `vector`, nearest first; [] without a vector, and where
        vectors cannot be searched or lengths do not fit. Raises DatabaseError.
        """
        if self._thread is None:
            # Shielded: a caller that leaves meanwhile must not leave a connection that nobody knows of.
            await asyncio.shield(asyncio.ensure_future(self._open()))
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
        await thread.run_within(WARM_WITHIN_S, self._answer, [], asyncio.get_running_loop())

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
            await self._write_at_last(thread, self._books)
        await thread.close()
        copying, self._copying = self._copying, None
        if copying is not None:
            await copying.close()

    async def _open(self) -> SqliteThread:
        if self._thread is not None:
            return self._thread
        async with self._opening:
            if self._thread is None:
                access = Access.READ if self._books is None else Access.WRITE
                thread = SqliteThread(self._path, access, keeps_wal=True, busy_timeout_s=LOCK_WITHIN_S)
                await thread.open()
                try:
                    await self._prepare(thread)
                except BaseException:
                    await thread.close()
                    raise
                self._thread = thread
            return self._thread

    async def _prepare(self, thread: SqliteThread) -> None:
        await thread.run(_keep_pages)
        await thread.run(show_words)
        try:
            await thread.run(load_vector_search)
        except (DatabaseError, VectorSearchUnavailable) as error:
            self._no_vectors = str(error)  # words alone are searched
        else:
            self._no_vectors = None
        if self._books is not None:
            await self._open_copying(thread)

    async def _open_copying(self, thread: SqliteThread) -> None:
        copying = SqliteThread(self._path, Access.WRITE, keeps_wal=True, pending=1)
        await copying.open()
        self._checkpoints = await thread.run(lambda connection: Checkpoints(connection, copying))
        self._copying = copying

    def _begin(self) -> None:
        if self._thread is None:  # closed meanwhile
            waiting, self._waiting = self._waiting, []
            _settle_all([(search.answer, None, DatabaseUnopened("the search was closed")) for search in waiting])
        elif self._batches is None or self._batches.done():
            self._batches = asyncio.get_running_loop().create_task(self._answer_waiting(self._thread))

    async def _answer_waiting(self, thread: SqliteThread) -> None:
        while self._waiting or self._writes_again():
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            batch = [search for search in batch if not search.answer.done()]  # the others' callers are gone
            try:
                await thread.run_within(DEADLINE_S, self._answer, batch, asyncio.get_running_loop())
            except Exception as error:  # told to every caller: nobody may wait for ever
                _settle_all([(search.answer, None, error) for search in batch])

    def _writes_again(self) -> bool:
        """Whether something is still to be written, and it is time to try again."""
        return self._books is not None and self._books.due and time.monotonic() >= self._write_from_s

    async def _write_at_last(self, thread: SqliteThread, books: Books) -> None:
        """Before the end: the lock is asked for again and again, for a while."""
        ends_s = time.monotonic() + LAST_WRITE_S
        while books.due and (left_s := ends_s - time.monotonic()) > 0:
            with contextlib.suppress(DatabaseError):  # the books know the problem
                await thread.run_within(left_s, books.write)
        books.give_up()

    # ---- on the thread

    def _answer(self, connection: Connection, batch: list[_Search], loop: asyncio.AbstractEventLoop) -> None:
        """Answer the searches, some at a time, in their order. What they leave to be written is written before.

        All at once where another program has committed since the last batch: what is kept in memory is then brought up
        to date once, and not for each part of the batch.
        """
        questions = [search.question for search in batch if search.question is not None]
        with _snapshot(connection):
            found = iter(self._nearest(connection, questions))
            together = ANSWERED_TOGETHER if self._is_as_before(connection) else max(len(batch), 1)
            outcomes = _outcomes(connection, batch[:together], found)
        self._hand_over(connection, outcomes, loop)
        for start in range(together, len(batch), together):
            with _snapshot(connection):
                outcomes = _outcomes(connection, batch[start : start + together], found)
            self._hand_over(connection, outcomes, loop)

    def _is_as_before(self, connection: Connection) -> bool:
        version, self._version = self._version, connection.pragma("data_version")
        return version == self._version

    def _hand_over(self, connection: Connection, outcomes: list[_Outcome], loop: asyncio.AbstractEventLoop) -> None:
        self._write_books(connection, loop)
        if outcomes:
            loop.call_soon_threadsafe(_settle_all, outcomes)

    def _write_books(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Write what is due, or begin again later when another program keeps the database locked."""
        books = self._books
        if books is None or not books.due or time.monotonic() < self._write_from_s:
            return
        try:
            books.write(connection)
            if self._checkpoints is not None:
                self._checkpoints.between_transactions(connection)
        except DatabaseError:
            self._write_from_s = time.monotonic() + WRITE_AGAIN_S
            loop.call_soon_threadsafe(loop.call_later, WRITE_AGAIN_S, self._begin)

    def _nearest(self, connection: Connection, questions: list[Nearest]) -> list[list[Neighbour]]:
        if self._no_vectors is not None:
            return [[] for _ in questions]
        return self._index.answer(connection, questions)


def _keep_pages(connection: Connection) -> None:
    """More of the file in memory than SQLite's default of 2 MB; it is filled as searches read, and no further."""
    connection.execute("PRAGMA cache_size = -16384")


@contextlib.contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    """All that is read inside is one state of the database."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _outcomes(connection: Connection, batch: list[_Search], found: Iterator[list[Neighbour]]) -> list[_Outcome]:
    """`found`: for those that have a vector, in their order."""
    return [
        (search.answer, *_outcome(search.work, connection, [] if search.question is None else next(found)))
        for search in batch
    ]


def _outcome(work: Work[Any], connection: Connection, nearest: list[Neighbour]) -> tuple[Any, Exception | None]:
    try:
        with translated():
            return work(connection, nearest), None
    except Exception as error:  # of this search alone; its caller gets it
        return None, error


def _settle_all(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        settle(*outcome)
