"""One connection that writes, on one thread. Works that wait at the same time share a transaction while none fails.

Nothing is acknowledged before COMMIT. Another process may hold the write lock: it is asked for again and again until
the callers' time is over, and left free for a moment between transactions, so that the other one gets its turn as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from native_routes.database import (
    DEFAULT_DEADLINE_S,
    Access,
    Connection,
    ConstraintViolated,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnopened,
    DeadlineExceeded,
    Job,
    Jobs,
    SqliteThread,
    StatementError,
    VectorSearchUnavailable,
    load_vector_search,
    loop_future,
    translated,
)

MOST_TOGETHER: Final = 64  # works in one transaction
LONGEST_S: Final = 0.05  # no further work begins in a transaction that is this old: another process may wait for it
FREE_SHARE: Final = 0.2  # of a transaction's time, for which the lock is then left free while more works wait
SHORTEST_PAUSE_S: Final = 0.0005  # before the lock is asked for again; each pause is twice the one before
LONGEST_PAUSE_S: Final = 0.01
GRACE_S: Final = 0.25  # how long after its deadline a work waits to hear from the thread why
# Pages kept, as they are needed. vec0 walks through a chunk of 1,024 vectors, 3 MB and more, at each insertion: with
# SQLite's usual 2 MB that is hundreds of reads, and a vector takes 170 µs of processor time instead of 30.
CACHE_KIB: Final = 16_000
MOST_WAITING: Final = 2_000  # beyond it a work is refused: it would only wait until its deadline
T = TypeVar("T")


@dataclass(slots=True)
class WriteCounts:
    """What the thread has done; written there alone."""

    works: int = 0  # that were committed
    transactions: int = 0
    largest: int = 0  # works in one transaction
    failed: int = 0  # works that ended in a DatabaseError which the work itself did not cause
    again: int = 0  # works that ran again alone, because one of their transaction failed
    lock_waits: int = 0  # transactions that found another process writing
    lock_waited_s: float = 0.0
    longest_lock_wait_s: float = 0.0
    last_failure: str = ""


@dataclass(slots=True, eq=False)
class _Work(Job):
    turn: threading.Lock = field(default_factory=threading.Lock)  # taken once: to begin, or never to begin
    begun: bool = False

    def give_up(self) -> bool:
        """True: it has not begun and never will."""
        return self.turn.acquire(blocking=False)

    def begin(self) -> bool:
        if not self.begun and self.turn.acquire(blocking=False):
            self.begun = True
        return self.begun

    def is_late(self) -> bool:
        return time.monotonic() >= self.ends_s


@dataclass(frozen=True, slots=True)
class _Ran:
    """A work that ran in the transaction under way, and how it ended."""

    work: _Work
    result: Any
    error: BaseException | None


class Writer:
    """The one way to write to a database. The file is opened by the first `run`, and never closed in between."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts = WriteCounts()
        self.waiting = 0  # works queued or under way; used on the event loop only
        self._thread: _WriteThread | None = None
        self._opening = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        return self._thread is not None

    @property
    def vectors(self) -> bool:
        """Whether statements may use vec0 tables; False before the first work."""
        return self._thread is not None and self._thread.vectors

    async def run(self, work: Callable[[Connection], T], *, deadline_s: float = DEFAULT_DEADLINE_S) -> T:
        """What `work(connection)` returns, after its changes are committed.

        `work` may run more than once, with nothing kept of the earlier time: it must change nothing but the database.
        Whatever it raises is raised here, apsw's errors as DatabaseError, and nothing of it is kept. DatabaseBusy when
        another process held the lock until `deadline_s`. A caller that is cancelled before its work began has written
        nothing; after that the work runs to its end.
        """
        ends_s = time.monotonic() + deadline_s
        if self.waiting >= MOST_WAITING:
            raise DatabaseBusy(f"{self.waiting} writes to {self.path.name} are waiting already")
        while (thread := self._thread) is None or not thread.is_open:
            # Shielded: a caller that leaves meanwhile must not leave a thread that nobody knows of.
            await asyncio.shield(asyncio.ensure_future(self._open()))
        future, done = loop_future()
        job = _Work(work, done, ends_s)
        late_s = max(0.0, ends_s - time.monotonic()) + GRACE_S
        alarm = asyncio.get_running_loop().call_later(late_s, thread.expire, job)
        self.waiting += 1
        thread.put(job)
        try:
            result: T = await future
        except asyncio.CancelledError:
            job.give_up()
            raise
        finally:
            alarm.cancel()
            self.waiting -= 1
        return result

    async def close(self) -> None:
        """Close after the works that wait. Idempotent; the next `run` opens anew."""
        async with self._opening:
            thread, self._thread = self._thread, None
            if thread is not None:
                await thread.close()

    async def _open(self) -> None:
        async with self._opening:
            if self._thread is None or not self._thread.is_open:
                thread = _WriteThread(self.path, self.counts)
                await thread.open()
                self._thread = thread


class _WriteThread(SqliteThread):
    def __init__(self, path: Path, counts: WriteCounts) -> None:
        super().__init__(path, Access.WRITE, keeps_wal=True)
        self._jobs: Jobs = queue.SimpleQueue()  # Writer bounds it
        self.vectors = False
        self._counts = counts
        self._locked_out = False  # another process holds the lock
        self._asks_for_lock = False
        self._file: tuple[int, int] | None = None

    def put(self, job: _Work) -> None:
        self._jobs.put(job)

    def expire(self, job: _Work) -> None:
        """On the loop, after the deadline: whatever holds up the thread, a work that has not begun is answered now."""
        if job.give_up():
            kind = DatabaseBusy if self._locked_out else DeadlineExceeded
            job.done(None, kind("the caller's time was over before the write began"))

    def _connect(self) -> Connection:
        connection = super()._connect()
        with contextlib.suppress(VectorSearchUnavailable):
            load_vector_search(connection)
            self.vectors = True
        connection.pragma("cache_size", -CACHE_KIB)
        self._file = _identity(self.path)
        return connection

    def _take_jobs(self, connection: Connection) -> None:
        while (first := self._jobs.get()) is not None:
            waiting: deque[Any] = deque([first])
            while waiting:
                self._take_more(waiting)
                held_s = self._transact(connection, waiting)
                if waiting or not self._jobs.empty():
                    time.sleep(held_s * FREE_SHARE)

    def _take_more(self, waiting: deque[Any]) -> None:
        with contextlib.suppress(queue.Empty):
            while len(waiting) < MOST_TOGETHER:
                job = self._jobs.get_nowait()
                if job is None:
                    self._jobs.put(None)  # the end mark: after these
                    return
                waiting.append(job)

    def _transact(self, connection: Connection, waiting: deque[_Work]) -> float:
        """Run works from the left of `waiting` in one transaction, answer them; for how long the lock was held.

        There is no savepoint for each: FTS5 writes its index out at every one, and works seldom fail.
        """
        if not self._lock(connection, waiting):
            return 0.0
        began_s = time.monotonic()
        ran: list[_Ran] = []
        while waiting and (not ran or time.monotonic() < began_s + LONGEST_S):
            work = waiting.popleft()
            if not self._begins(work):
                continue
            ran.append(self._ran(connection, work))
            if ran[-1].error is not None:
                _roll_back(connection)
                self._settle_undone(connection, ran)
                break
        else:
            self._commit(connection, ran)
        return time.monotonic() - began_s

    def _begins(self, work: _Work) -> bool:
        if work.is_late():
            self._refuse(work, DeadlineExceeded("the caller's time was over before the write was done"))
            return False
        return work.begin()

    def _ran(self, connection: Connection, work: _Work) -> _Ran:
        self._job = work
        try:
            with translated():
                return _Ran(work, work.work(connection), None)
        except BaseException as error:  # the caller's to judge, whatever it is
            return _Ran(work, None, error)
        finally:
            self._job = None  # what follows must not be interrupted

    def _commit(self, connection: Connection, ran: list[_Ran]) -> None:
        """Nobody is told anything before: what a work saw may be another's, which is then undone."""
        try:
            with translated():
                connection.execute("COMMIT")
        except DatabaseError as error:
            _roll_back(connection)
            return self._settle_undone(connection, [_Ran(each.work, None, error) for each in ran])
        counts = self._counts
        counts.transactions += 1
        counts.works += len(ran)
        counts.largest = max(counts.largest, len(ran))
        for each in ran:
            self._answer(each)
        return None

    def _settle_undone(self, connection: Connection, ran: list[_Ran]) -> None:
        """Their transaction is undone: a work that was alone in it fails, several get one each."""
        if len(ran) == 1:
            return self._answer(ran[0])
        for each in ran:
            self._counts.again += 1
            self._transact(connection, deque([each.work]))
        return None

    def _lock(self, connection: Connection, waiting: deque[_Work]) -> bool:
        """Begin a transaction. False when it cannot begin or nobody waits any more; then all have been told."""
        asked_s, patience_s = time.monotonic(), SHORTEST_PAUSE_S
        while waiting:
            try:
                self._begin(connection)
                break
            except DatabaseBusy as error:
                self._locked_out = True
                self._refuse_late(waiting, error)
                time.sleep(random.uniform(0.5, 1.0) * patience_s)  # so that two who wait do not meet again and again
                patience_s = min(2 * patience_s, LONGEST_PAUSE_S)
            except DatabaseError as error:
                while waiting:
                    self._refuse(waiting.popleft(), error)
        if self._locked_out:
            self._locked_out = False
            self._count_wait(time.monotonic() - asked_s)
        return bool(waiting)

    def _begin(self, connection: Connection) -> None:
        if _identity(self.path) != self._file:
            raise DatabaseUnopened(f"{self.path} was replaced or removed while it was open; start the proxy again")
        self._asks_for_lock = True
        try:
            with translated():
                connection.execute("BEGIN IMMEDIATE")
        finally:
            self._asks_for_lock = False

    def _refuse_late(self, waiting: deque[_Work], error: DatabaseBusy) -> None:
        for work in [work for work in waiting if work.is_late()]:
            waiting.remove(work)
            self._refuse(work, error)

    def _refuse(self, work: _Work, error: DatabaseError) -> None:
        if work.begun or work.give_up():
            self._answer(_Ran(work, None, error))

    def _count_wait(self, waited_s: float) -> None:
        counts = self._counts
        counts.lock_waits += 1
        counts.lock_waited_s += waited_s
        counts.longest_lock_wait_s = max(counts.longest_lock_wait_s, waited_s)

    def _answer(self, ran: _Ran) -> None:
        error = ran.error
        if isinstance(error, DatabaseError) and not isinstance(error, StatementError | ConstraintViolated):
            self._counts.failed += 1
            self._counts.last_failure = f"{type(error).__name__}: {error}"
        if isinstance(error, StopIteration):  # a future refuses it, and the caller would wait for ever
            error = RuntimeError(f"the work raised StopIteration: {error}")
        ran.work.done(ran.result, error)

    def _is_over(self) -> bool:
        return self._job is not None and time.monotonic() >= self._job.ends_s

    def _wait_busy(self, attempts: int) -> bool:
        return not self._asks_for_lock and super()._wait_busy(attempts)


def _roll_back(connection: Connection) -> None:
    with contextlib.suppress(DatabaseError), translated():
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
