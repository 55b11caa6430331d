"""Reads of one database: a bounded pool of connections, one of which does what there is to do while reads are short."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

from native_routes.database import (
    Access,
    Connection,
    DatabaseBusy,
    DatabaseError,
    DeadlineExceeded,
    StatementError,
    VectorSearchUnavailable,
    load_vector_search,
    show_words,
)
from native_routes.sqlite_thread import DEFAULT_DEADLINE_S, Job, SqliteThread, loop_future

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

READ_THREADS: Final = 4  # legacy pools as many read connections
READ_PATIENCE_S: Final = 0.005  # for which reads wait behind one that is long, before another thread helps
READS_WAITING: Final = 512  # beyond it a read is refused: it would only wait until its deadline
UNHEEDED_S: Final = 0.25  # how long after its deadline a statement is waited for that does not heed it
STEPS_PER_LOOK: Final = 40_000  # about 2 ms: each look waits for the interpreter, and reads run side by side

Calls = queue.SimpleQueue[int | None]  # how many reads the first thread had taken; None: the end


class _ReadThread(SqliteThread):
    """One connection of a Reader: it takes its jobs from the queue that all of them share, a helper when it is called.

    One does what there is to do, because the interpreter runs one at a time: four that took turns at every statement
    spent a fifth of the processor on it. The others are for what comes behind a long read.
    """

    steps_per_look = STEPS_PER_LOOK

    def __init__(
        self, path: Path, jobs: queue.SimpleQueue[Job | None], calls: Calls, first: _ReadThread | None
    ) -> None:
        """A helper of `first`; None for the first itself."""
        super().__init__(path, Access.READ, keeps_wal=True)
        self._jobs: queue.SimpleQueue[Job | None] = jobs
        self._calls = calls
        self._first = first
        self.taken = 0
        self.vectors = False

    def _take_jobs(self, connection: Connection) -> None:
        if self._first is not None:
            while (taken := self._calls.get()) is not None:
                self._help(connection, self._first, taken)
            return
        while (job := self._jobs.get()) is not None:
            self.taken += 1
            self._work(connection, job)

    def _help(self, connection: Connection, first: _ReadThread, taken: int) -> None:
        """For as long as the first is at the read that holds the others up."""
        with contextlib.suppress(queue.Empty):
            while first.taken == taken:
                job = self._jobs.get_nowait()
                if job is None:
                    return self._jobs.put(None)  # the end mark is for the first
                self._work(connection, job)
        return None

    def _connect(self) -> Connection:
        connection = super()._connect()
        with contextlib.suppress(VectorSearchUnavailable):
            load_vector_search(connection)
            self.vectors = True
        show_words(connection)
        return connection

    def end(self) -> None:
        """End it after the jobs that wait; see `join`."""
        if self._first is None:
            self._jobs.put(None)
        else:
            self._calls.put(None)  # whichever helper takes it

    def join(self) -> None:
        """Wait for the thread's end, which an end mark brings about."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()


class Reader:
    """A bounded pool of read connections to one database, each on a thread of its own.

    Nothing is opened before the first `run`, so whoever owns the anchor decides by not asking. The connections stay
    open until `close`, which never touches the WAL, whether or not a daemon still runs; the next `run` opens anew.
    """

    def __init__(self, path: Path, *, threads: int = READ_THREADS, waiting: int = READS_WAITING) -> None:
        self.path = path
        self.failures = 0  # reads that ended in a DatabaseError other than StatementError
        self.last_failure = ""
        self._count = threads
        self._most_waiting = waiting
        self._waiting = 0  # queued or under way; used on the event loop only
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()  # in C; `waiting` bounds it
        self._calls: Calls = queue.SimpleQueue()  # each wakes one helper
        self._look: asyncio.TimerHandle | None = None  # at whether the reads go on
        self._threads: list[_ReadThread] = []
        self._opening = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        return bool(self._threads)

    @property
    def vectors(self) -> bool:
        """Whether statements may use vec0 tables; False before the first read."""
        return self.is_open and all(thread.vectors for thread in self._threads)

    async def run(self, work: Callable[[Connection, *Ts], T], *args: *Ts, deadline_s: float = DEFAULT_DEADLINE_S) -> T:
        """What `work(connection, *args)` returns; all that it reads is one state of the database.

        Raises DeadlineExceeded when that takes longer than `deadline_s`, queueing and opening included, or another
        DatabaseError. Cancelling the caller interrupts the statement.
        """
        ends_s = time.monotonic() + deadline_s
        try:
            if self._waiting >= self._most_waiting:
                raise DatabaseBusy(f"{self._waiting} reads of {self.path.name} are waiting already")
            while not self._threads:
                # Shielded: a caller that leaves meanwhile must not leave threads that nobody knows of.
                await asyncio.shield(asyncio.ensure_future(self._open()))
            return await self._queued(lambda connection: _in_snapshot(connection, work, args), ends_s)
        except DatabaseError as error:
            if not isinstance(error, StatementError):
                self.failures += 1
                self.last_failure = f"{type(error).__name__}: {error}"
            raise

    async def close(self) -> None:
        """Close every connection after the reads under way. Idempotent."""
        async with self._opening:
            threads, self._threads = self._threads, []
            if self._look is not None:
                self._look.cancel()
                self._look = None
            for _ in threads[1:]:
                self._calls.put(threads[0].taken)  # a read under way may be long
            await self._end(threads)

    async def _open(self) -> None:
        async with self._opening:
            if self._threads:
                return
            first = _ReadThread(self.path, self._jobs, self._calls, None)
            helpers = [_ReadThread(self.path, self._jobs, self._calls, first) for _ in range(1, self._count)]
            threads = [first, *helpers]
            opened = await asyncio.gather(*(thread.open() for thread in threads), return_exceptions=True)
            errors = [error for error in opened if error is not None]
            if not errors:
                self._threads = threads
                return
            await self._end([thread for thread in threads if thread.is_open])
            raise errors[0]

    async def _end(self, threads: list[_ReadThread]) -> None:
        for thread in threads:
            thread.end()
        for thread in threads:
            await asyncio.to_thread(thread.join)

    async def _queued(self, work: Callable[[Connection], T], ends_s: float) -> T:
        future, done = loop_future()
        job = Job(work, done, ends_s)
        # The thread itself notices the end within microseconds, unless it is inside a function that SQLite cannot stop.
        over = DeadlineExceeded("the statement did not stop at its deadline")
        late_s = max(0.0, ends_s - time.monotonic()) + UNHEEDED_S
        alarm = asyncio.get_running_loop().call_later(late_s, done, None, over)
        self._waiting += 1
        try:
            self._jobs.put(job)
            self._look_soon()
            result: T = await future
            return result
        finally:
            job.abandoned = True
            alarm.cancel()
            self._waiting -= 1

    def _look_soon(self) -> None:
        if self._look is None and self._count > 1:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(READ_PATIENCE_S, self._call_helper, self._threads[0].taken)

    def _call_helper(self, taken: int) -> None:
        """Where reads wait and none was begun since there were so many."""
        self._look = None
        if self._jobs.empty() or not self._threads:
            return
        if self._threads[0].taken == taken:
            self._calls.put(taken)
        self._look_soon()


def _in_snapshot(connection: Connection, work: Callable[[Connection, *Ts], T], args: tuple[*Ts]) -> T:
    """`work` inside one read transaction, which is over when this returns."""
    connection.execute("BEGIN")
    try:
        return work(connection, *args)
    finally:
        connection.execute("ROLLBACK")  # nothing was written
