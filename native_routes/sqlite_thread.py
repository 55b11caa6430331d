"""One SQLite connection on one thread of its own, never on the event loop; every call under a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from native_routes.database import Access, Connection, DatabaseUnopened, DeadlineExceeded, close, connect, translated

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_S: Final = 5.0  # legacy's busy_timeout
DEFAULT_DEADLINE_S: Final = 10.0
STEPS_PER_LOOK: Final = 2_000  # of SQLite's machine, between two looks at the clock; about 0.1 ms


@dataclass(slots=True, eq=False)
class Job:
    """Work for a connection's thread, and who hears of its end."""

    work: Callable[[Connection], Any]
    done: Callable[[Any, BaseException | None], None]
    ends_s: float  # time.monotonic() when the caller stops waiting
    abandoned: bool = field(default=False)

    def is_over(self) -> bool:
        return self.abandoned or time.monotonic() >= self.ends_s


Jobs = queue.Queue[Job | None] | queue.SimpleQueue[Job | None]


class SqliteThread:
    """One connection that lives on one thread of its own.

    `keeps_wal`: closing this connection never checkpoints and never unlinks the WAL, even when SQLite believes it is
    the last one. A running legacy can have lost its lock on the file, so only a close after its end may tidy up.
    """

    steps_per_look = STEPS_PER_LOOK

    def __init__(
        self,
        path: Path,
        access: Access = Access.READ,
        *,
        keeps_wal: bool = False,
        pending: int = 1_000,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._access = access
        self._keeps_wal = keeps_wal
        self._jobs: Jobs = queue.Queue(maxsize=pending)
        self._thread: threading.Thread | None = None
        self._job: Job | None = None

    @property
    def is_open(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    async def open(self) -> None:
        """Start the thread and open the file there. Raises DatabaseError; then nothing is left open."""
        opened, done = loop_future()
        # A daemon thread: when the interpreter ends without close(), the connection is dropped by the kernel and
        # SQLite's close, which could unlink the WAL, does not run.
        self._thread = threading.Thread(target=self._serve, args=(done,), name=f"sqlite {self.path.name}", daemon=True)
        self._thread.start()
        try:
            await opened
        except Exception:
            self._thread = None
            raise

    async def run(
        self,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What `work(connection, ...)` returns, within DEFAULT_DEADLINE_S. Cancelling the caller interrupts it."""
        return await self.run_within(DEFAULT_DEADLINE_S, work, *args, **kwargs)

    async def run_within(
        self, deadline_s: float, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `run`, within `deadline_s`, queueing included. Raises DeadlineExceeded or another DatabaseError."""
        future, done = loop_future()
        job = Job(lambda connection: work(connection, *args, **kwargs), done, time.monotonic() + deadline_s)
        if not self._put(job):
            raise DatabaseUnopened(f"{self.path} is not open, or its queue is full")
        try:
            result: T = await future
        except asyncio.CancelledError:
            job.abandoned = True
            raise
        return result

    def post(self, work: Callable[[Connection], None], failed: Callable[[BaseException], None]) -> bool:
        """Run `work` some time, without waiting; False when the queue is full. `failed` is called on the thread."""

        def done(_: Any, error: BaseException | None) -> None:
            if error is not None:
                failed(error)

        return self._put(Job(work, done, time.monotonic() + 60.0))

    async def close(self, *, keeps_wal: bool | None = None) -> None:
        """Close after the queued jobs. `keeps_wal=False` lets SQLite fold the WAL into the file when it is the last."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if keeps_wal is not None:
            self._keeps_wal = keeps_wal
        await asyncio.to_thread(self._put_end_mark)
        await asyncio.to_thread(thread.join)

    def _put_end_mark(self) -> None:
        self._jobs.put(None)

    def _put(self, job: Job) -> bool:
        if not self.is_open:
            return False
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def _serve(self, opened: Callable[[Any, BaseException | None], None]) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # whatever it is: the caller of open() waits for an answer
            opened(None, error)
            return
        opened(None, None)
        self._take_jobs(connection)
        close(connection, keeps_wal=self._keeps_wal)

    def _take_jobs(self, connection: Connection) -> None:
        """One after another until the end mark."""
        while (job := self._jobs.get()) is not None:
            self._work(connection, job)

    def _connect(self) -> Connection:
        return connect(
            self.path,
            self._access,
            keeps_wal=self._keeps_wal,
            is_over=self._is_over,
            steps_per_look=self.steps_per_look,
            waits=self._wait_busy,
        )

    def _work(self, connection: Connection, job: Job) -> None:
        if job.is_over():
            return job.done(None, DeadlineExceeded("the caller's time was over before the statement began"))
        self._job = job
        try:
            with translated():
                result = job.work(connection)
        except Exception as error:
            return job.done(None, error)
        finally:
            self._job = None
        return job.done(result, None)

    def _is_over(self) -> bool:
        """SQLite asks this while it works; True interrupts the statement."""
        return self._job is not None and self._job.is_over()

    def _wait_busy(self, attempts: int) -> bool:
        """SQLite asks this while another connection holds the lock; False gives up with DatabaseBusy."""
        if self._is_over() or attempts * 0.005 >= self._busy_timeout_s:
            return False
        time.sleep(0.005)
        return True


def loop_future() -> tuple[asyncio.Future[Any], Callable[[Any, BaseException | None], None]]:
    """A future of the running loop, and a function that fulfils it from any thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def done(result: Any, error: BaseException | None) -> None:
        # The loop may be gone when the program ends in the middle of a statement.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, future, result, error)

    return future, done


def settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    """On the loop: tell whoever still waits."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # a future refuses it, and the caller would wait for ever
        future.set_exception(RuntimeError(f"the work raised StopIteration: {error}"))
    else:
        future.set_exception(error)
