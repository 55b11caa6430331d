"""The thread of the Writer: works of all who wait, in transactions, under a lock that another process may hold."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from native_routes.database import (
    Access,
    Connection,
    ConstraintViolated,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnopened,
    DeadlineExceeded,
    StatementError,
    VectorSearchUnavailable,
    load_vector_search,
    translated,
)
from native_routes.sqlite_thread import SqliteThread, settle
from native_routes.wal_checkpoints import Checkpoints

MOST_TOGETHER: Final = 64  # works in one transaction
LONGEST_S: Final = 0.05  # no further work begins in a transaction that is this old: another process may wait for it
FREE_SHARE: Final = 0.2  # of a transaction's time, for which the lock is then left free while more works wait
SHORTEST_PAUSE_S: Final = 0.0005  # before the lock is asked for again; each pause is twice the one before
LONGEST_PAUSE_S: Final = 0.01
# Pages kept, as they are needed. vec0 walks through a chunk of 1,024 vectors, 3 MB and more, at each insertion: with
# SQLite's usual 2 MB that is hundreds of reads, and a vector takes 170 µs of processor time instead of 30.
CACHE_KIB: Final = 16_000
CHECKPOINT_WAITS: Final = 10  # of 5 ms, for those who read from a log that must be begun anew
Together = Callable[[Connection, Sequence[Any]], Sequence[Any]]


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
    log_pages: int = 0  # in the write-ahead log after the last commit
    longest_checkpoint_s: float = 0.0  # for which the thread copied pages of it itself
    last_failure: str = ""


@dataclass(slots=True, eq=False)
class Work:
    """What somebody waits for: `alone` on the connection, or `together` for this item and those of others."""

    future: asyncio.Future[Any]
    ends_s: float  # time.monotonic() when the caller stops waiting
    alone: Callable[[Connection], Any] | None = None
    together: Together | None = None
    item: Any = None
    begun: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock)  # taken once: to begin, or never to begin

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
class Ran:
    """A work that ran in the transaction under way, and how it ended."""

    work: Work
    result: Any
    error: BaseException | None


Works = list[Work]


class WriteThread(SqliteThread):
    """`beside` is another connection to the file, for copying the log into it."""

    def __init__(self, path: Path, counts: WriteCounts, beside: SqliteThread) -> None:
        super().__init__(path, Access.WRITE, keeps_wal=True)
        self._beside = beside
        self._works: queue.SimpleQueue[Works | None] = queue.SimpleQueue()  # Writer bounds it
        self.vectors = False
        self._counts = counts
        self._locked_out = False  # another process holds the lock
        self._asks_for_lock = False
        self._most_waits: int | None = None  # for a lock, of 5 ms each
        self._interrupt_s: float | None = None  # when the statement under way is ended
        self._file: tuple[int, int] | None = None

    def put(self, works: Works) -> None:
        self._works.put(works)

    def expire(self, work: Work) -> None:
        """On the loop, after the deadline: whatever holds up the thread, a work that has not begun is answered now."""
        if work.give_up():
            kind = DatabaseBusy if self._locked_out else DeadlineExceeded
            settle(work.future, None, kind("the caller's time was over before the write began"))

    def _put_end_mark(self) -> None:
        self._works.put(None)

    def _connect(self) -> Connection:
        connection = super()._connect()
        with contextlib.suppress(VectorSearchUnavailable):
            load_vector_search(connection)
            self.vectors = True
        connection.pragma("cache_size", -CACHE_KIB)
        self._file = _identity(self.path)
        return connection

    def _take_jobs(self, connection: Connection) -> None:
        waiting: deque[Work] = deque()
        checkpoints = Checkpoints(connection, self._beside)
        while self._take_more(waiting):
            held_s = self._transact(connection, waiting)
            self._check_log(connection, checkpoints)
            if waiting or not self._works.empty():
                time.sleep(held_s * FREE_SHARE)

    def _check_log(self, connection: Connection, checkpoints: Checkpoints) -> None:
        self._most_waits = CHECKPOINT_WAITS
        checkpoints.between_transactions(connection)
        self._most_waits = None
        self._counts.log_pages = checkpoints.frames
        self._counts.longest_checkpoint_s = checkpoints.longest_s

    def _take_more(self, waiting: deque[Work]) -> bool:
        """Add those that wait, enough for a transaction; when there are none, wait. False at the end."""
        with contextlib.suppress(queue.Empty):
            while len(waiting) < MOST_TOGETHER:
                works = self._works.get(block=not waiting)
                if works is None:
                    self._works.put(None)  # the end mark: after these
                    break
                waiting += works
        return bool(waiting)

    def _transact(self, connection: Connection, waiting: deque[Work]) -> float:
        """Run works from the left of `waiting` in one transaction, answer them; for how long the lock was held.

        There is no savepoint for each: FTS5 writes its index out at every one, and works seldom fail.
        """
        if not self._lock(connection, waiting):
            return 0.0
        began_s = time.monotonic()
        ran: list[Ran] = []
        while waiting and len(ran) < MOST_TOGETHER and (not ran or time.monotonic() < began_s + LONGEST_S):
            works = self._next(waiting)
            if not works:
                continue
            ran += self._ran(connection, works)
            if ran[-1].error is not None:
                _roll_back(connection)
                self._settle_undone(connection, ran)
                break
        else:
            self._commit(connection, ran)
        return time.monotonic() - began_s

    def _next(self, waiting: deque[Work]) -> Works:
        """The next work, and those that are done together with it; [] when it is not to be begun any more.

        These come from anywhere before the next work that is to be done alone, which sees all that waited before it.
        """
        first = waiting.popleft()
        works = [first] if self._begins(first) else []
        if not works or first.together is None:
            return works
        passed: Works = []
        while waiting and waiting[0].together is not None and len(works) < MOST_TOGETHER:
            work = waiting.popleft()
            if work.together is not first.together:
                passed.append(work)
            elif self._begins(work):
                works.append(work)
        waiting.extendleft(reversed(passed))
        return works

    def _begins(self, work: Work) -> bool:
        if work.is_late():
            self._refuse(work, DeadlineExceeded("the caller's time was over before the write was done"))
            return False
        return work.begin()

    def _ran(self, connection: Connection, works: Works) -> list[Ran]:
        self._interrupt_s = min(work.ends_s for work in works)
        try:
            with translated():
                return [Ran(work, result, None) for work, result in zip(works, _run(connection, works), strict=True)]
        except BaseException as error:  # the caller's to judge, whatever it is
            return [Ran(work, None, error) for work in works]
        finally:
            self._interrupt_s = None  # what follows must not be interrupted

    def _commit(self, connection: Connection, ran: list[Ran]) -> None:
        """Nobody is told anything before: what a work saw may be another's, which is then undone."""
        try:
            with translated():
                connection.execute("COMMIT")
        except DatabaseError as error:
            _roll_back(connection)
            return self._settle_undone(connection, [Ran(each.work, None, error) for each in ran])
        counts = self._counts
        counts.transactions += 1
        counts.works += len(ran)
        counts.largest = max(counts.largest, len(ran))
        self._answer(ran)
        return None

    def _settle_undone(self, connection: Connection, ran: list[Ran]) -> None:
        """Their transaction is undone: a work that was alone in it fails, several get one each."""
        if len(ran) == 1:
            return self._answer(ran)
        for each in ran:
            self._counts.again += 1
            self._transact(connection, deque([each.work]))
        return None

    def _lock(self, connection: Connection, waiting: deque[Work]) -> bool:
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

    def _refuse_late(self, waiting: deque[Work], error: DatabaseBusy) -> None:
        for work in [work for work in waiting if work.is_late()]:
            waiting.remove(work)
            self._refuse(work, error)

    def _refuse(self, work: Work, error: DatabaseError) -> None:
        if work.begun or work.give_up():
            self._answer([Ran(work, None, error)])

    def _count_wait(self, waited_s: float) -> None:
        counts = self._counts
        counts.lock_waits += 1
        counts.lock_waited_s += waited_s
        counts.longest_lock_wait_s = max(counts.longest_lock_wait_s, waited_s)

    def _answer(self, ran: list[Ran]) -> None:
        for error in (each.error for each in ran):
            if isinstance(error, DatabaseError) and not isinstance(error, StatementError | ConstraintViolated):
                self._counts.failed += 1
                self._counts.last_failure = f"{type(error).__name__}: {error}"
        if ran:
            # The loop may be gone when the program ends in the middle of a statement.
            with contextlib.suppress(RuntimeError):
                ran[0].work.future.get_loop().call_soon_threadsafe(_settle_all, ran)

    def _is_over(self) -> bool:
        return self._interrupt_s is not None and time.monotonic() >= self._interrupt_s

    def _wait_busy(self, attempts: int) -> bool:
        if self._asks_for_lock or (self._most_waits is not None and attempts >= self._most_waits):
            return False
        return super()._wait_busy(attempts)


def _settle_all(ran: list[Ran]) -> None:
    for each in ran:
        settle(each.work.future, each.result, each.error)


def _run(connection: Connection, works: Works) -> Sequence[Any]:
    first = works[0]
    if first.together is not None:
        return first.together(connection, [work.item for work in works])
    assert first.alone is not None
    return [first.alone(connection)]


def _roll_back(connection: Connection) -> None:
    with contextlib.suppress(DatabaseError), translated():
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
