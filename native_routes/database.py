"""SQLite under the project's rules: one connection per thread, never on the event loop, every call under a deadline.

The only module that imports apsw and sqlite-vec. Python's own `sqlite3` must not open a file that is open here: it is a
second copy of SQLite in the same process, and closing a file there drops the POSIX locks held here.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, TypeVarTuple

import apsw

from native_routes.query import Query

__all__ = [
    "BUSY_TIMEOUT_S",
    "DEFAULT_DEADLINE_S",
    "READ_THREADS",
    "Access",
    "Connection",
    "ConstraintViolated",
    "DatabaseBusy",
    "DatabaseCorrupt",
    "DatabaseError",
    "DatabaseFull",
    "DatabaseReadOnly",
    "DatabaseUnopened",
    "DeadlineExceeded",
    "Job",
    "Jobs",
    "Query",
    "Reader",
    "SqliteThread",
    "StatementError",
    "VectorSearchUnavailable",
    "check_vector_search",
    "checkpoint",
    "copy_database",
    "load_vector_search",
    "loop_future",
    "on_commit",
    "show_words",
    "tokens_of",
    "translated",
    "vector_library_path",
]

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Connection = apsw.Connection

BUSY_TIMEOUT_S = 5.0  # Legacy's busy_timeout.
DEFAULT_DEADLINE_S = 10.0
READ_THREADS: Final = 4  # Legacy pools as many read connections.
READ_PATIENCE_S: Final = 0.005  # for which reads wait behind one that is long, before another thread helps
READS_WAITING: Final = 512  # beyond it a read is refused: it would only wait until its deadline
UNHEEDED_S: Final = 0.25  # how long after its deadline a statement is waited for that does not heed it
_STEPS_PER_LOOK = 2_000  # Virtual machine steps between two looks at the clock; about 0.1 ms.
_READ_STEPS_PER_LOOK = 40_000  # about 2 ms: each look waits for the interpreter, and reads run side by side
_PAGES_AT_ONCE = 4_096
_VECTOR_SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")


class DatabaseError(Exception):
    """SQLite refused or failed; the message is SQLite's.

    DatabaseError
      DeadlineExceeded   the caller's time is over; nothing of an open transaction was committed
      DatabaseBusy       another writer held the lock for longer than the busy timeout
      DatabaseFull       no space left
      DatabaseReadOnly   file, folder or file system may not be written
      DatabaseCorrupt    not a database, or damaged
      DatabaseUnopened   cannot be opened, or is closed
      ConstraintViolated UNIQUE, NOT NULL or CHECK; nothing of the statement was kept, the transaction goes on
      StatementError     the statement itself: its syntax, a value of the wrong type, a value its functions refuse
    VectorSearchUnavailable
    """


class DeadlineExceeded(DatabaseError): ...


class DatabaseBusy(DatabaseError): ...


class DatabaseFull(DatabaseError): ...


class DatabaseReadOnly(DatabaseError): ...


class DatabaseCorrupt(DatabaseError): ...


class DatabaseUnopened(DatabaseError): ...


class ConstraintViolated(DatabaseError): ...


class StatementError(DatabaseError): ...


class VectorSearchUnavailable(Exception):
    """sqlite-vec cannot be loaded or answers a KNN query wrongly."""


class Access(Enum):
    """How a file is opened. Only OWN creates it and decides its journal mode; the others take it as legacy left it."""

    READ = apsw.SQLITE_OPEN_READONLY
    WRITE = apsw.SQLITE_OPEN_READWRITE
    OWN = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE


_ERRORS: tuple[tuple[type[apsw.Error], type[DatabaseError]], ...] = (
    (apsw.InterruptError, DeadlineExceeded),
    (apsw.BusyError, DatabaseBusy),
    (apsw.LockedError, DatabaseBusy),
    (apsw.FullError, DatabaseFull),
    (apsw.ReadOnlyError, DatabaseReadOnly),
    (apsw.CorruptError, DatabaseCorrupt),
    (apsw.NotADBError, DatabaseCorrupt),
    (apsw.CantOpenError, DatabaseUnopened),
    (apsw.ConnectionClosedError, DatabaseUnopened),
    (apsw.ConstraintError, ConstraintViolated),
    (apsw.SQLError, StatementError),
    (apsw.MismatchError, StatementError),
)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """apsw's errors as ours. Work that runs on a connection's thread needs it only to act on an error itself."""
    try:
        yield
    except apsw.Error as error:
        ours = next((ours for theirs, ours in _ERRORS if isinstance(error, theirs)), DatabaseError)
        raise ours(str(error)) from error


_translated = translated


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
Calls = queue.SimpleQueue[int | None]  # how many reads the first thread had taken; None: the end


class SqliteThread:
    """One connection that lives on one thread of its own.

    `keeps_wal`: closing this connection never checkpoints and never unlinks the WAL, even when SQLite believes it is
    the last one. A running legacy can have lost its lock on the file, so only a close after its end may tidy up.
    """

    steps_per_look = _STEPS_PER_LOOK

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
        with contextlib.suppress(DatabaseError), translated():
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(self._keeps_wal))
            connection.close()

    def _take_jobs(self, connection: Connection) -> None:
        """One after another until the end mark."""
        while (job := self._jobs.get()) is not None:
            self._work(connection, job)

    def _connect(self) -> Connection:
        with translated():
            connection = apsw.Connection(str(self.path), flags=self._access.value)
            connection.set_progress_handler(self._is_over, self.steps_per_look)
            connection.set_busy_handler(self._wait_busy)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(self._keeps_wal))
            if self._access is Access.OWN:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=OFF")
            return connection

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


class _ReadThread(SqliteThread):
    """One connection of a Reader: it takes its jobs from the queue that all of them share, a helper when it is called.

    One does what there is to do, because the interpreter runs one at a time: four that took turns at every statement
    spent a fifth of the processor on it. The others are for what comes behind a long read.
    """

    steps_per_look = _READ_STEPS_PER_LOOK

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


def loop_future() -> tuple[asyncio.Future[Any], Callable[[Any, BaseException | None], None]]:
    """A future of the running loop, and a function that fulfils it from any thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def done(result: Any, error: BaseException | None) -> None:
        # The loop may be gone when the program ends in the middle of a statement.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    return future, done


def on_commit(connection: Connection, note: Callable[[int], None]) -> None:
    """Call `note` after each commit with the number of pages in the write-ahead log, instead of SQLite's own habit:
    to copy them into the file once there are 1,000."""

    def committed(_: Connection, __: str, frames: int) -> int:
        note(frames)
        return apsw.SQLITE_OK

    connection.set_wal_hook(committed)


def checkpoint(connection: Connection, *, waits_for_readers: bool = False) -> int:
    """Copy pages from the log into the file as far as no reader needs what is there; how many are left.

    Others read and write meanwhile. `waits_for_readers`: of what is copied completely, those who still read from the
    log are waited for, and nobody writes; as long as the connection waits for anything. Raises DatabaseError.
    """
    mode = apsw.SQLITE_CHECKPOINT_RESTART if waits_for_readers else apsw.SQLITE_CHECKPOINT_PASSIVE
    with translated():
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # before it reads it knows of no log
        frames, copied = connection.wal_checkpoint("main", mode)
    return frames - copied


def copy_database(connection: Connection, target: Path, ended: threading.Event) -> None:
    """All of the database as it is now, into a new file; others may write meanwhile and are not held up.

    Raises DeadlineExceeded, with a part of the copy there, once `ended` is set.
    """
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # from here on it is one state
        copy = apsw.Connection(str(target), flags=Access.OWN.value)
        try:
            with copy.backup("main", connection, "main") as backup:
                while not backup.done:
                    if ended.is_set():
                        raise DeadlineExceeded("the copy was given up")
                    backup.step(_PAGES_AT_ONCE)
        finally:
            copy.close()
    finally:
        connection.execute("ROLLBACK")


def _vector_extension_path() -> Path:
    """`vec0` in the sqlite-vec wheel. The package is not imported: that would load numpy and a second SQLite."""
    wheel = importlib.util.find_spec("sqlite_vec")
    folders = wheel.submodule_search_locations if wheel is not None else None
    if not folders:
        raise VectorSearchUnavailable("sqlite-vec is not installed")
    return Path(folders[0]) / "vec0"


def vector_library_path() -> Path:
    """The shared library of the sqlite-vec wheel, with its suffix; legacy takes it as SIGNET_VEC_PATH."""
    return _vector_extension_path().with_suffix(_VECTOR_SUFFIX)


def load_vector_search(connection: Connection) -> None:
    """Make vec0 tables and vec_* functions known to this connection. Raises VectorSearchUnavailable."""
    try:
        connection.enable_load_extension(True)
        connection.load_extension(str(_vector_extension_path()))
    except (apsw.Error, OSError) as error:
        raise VectorSearchUnavailable(f"cannot load {vector_library_path()}: {error}") from error
    finally:
        connection.enable_load_extension(False)


def show_words(connection: Connection) -> None:
    """Make `temp.memory_words` on this connection: where each word of the full-text index stands.

    Outside of any transaction, which would take it back, and before there are statements, which would be prepared anew.
    """
    with contextlib.suppress(apsw.Error):  # without it words are left to FTS5
        connection.execute("CREATE VIRTUAL TABLE temp.memory_words USING fts5vocab(main, memories_fts, instance)")


def tokens_of(connection: Connection, text: str) -> list[str]:
    """The words of a text as FTS5's usual tokenizer, unicode61, cuts and folds them. Raises UnicodeEncodeError."""
    tokenizer = connection.fts5_tokenizer("unicode61", [])
    return [str(token[0]) for token in tokenizer(text.encode(), apsw.FTS5_TOKENIZE_QUERY, None, include_offsets=False)]


def check_vector_search() -> str:
    """The version of sqlite-vec, after a real nearest-neighbour query in memory. Raises VectorSearchUnavailable."""
    connection = apsw.Connection(":memory:")
    try:
        load_vector_search(connection)
        connection.execute("CREATE VIRTUAL TABLE probe USING vec0(id TEXT PRIMARY KEY, embedding FLOAT[3])")
        for name, vector in (("far", "[0,0,9]"), ("near", "[1,0,0]"), ("middle", "[0,3,0]")):
            connection.execute("INSERT INTO probe(id, embedding) VALUES (?, ?)", (name, vector))
        nearest = "SELECT id FROM probe WHERE embedding MATCH '[1,0,0]' AND k = 2 ORDER BY distance"
        found = [row[0] for row in connection.execute(nearest)]
        if found != ["near", "middle"]:
            raise VectorSearchUnavailable(f"KNN query answered {found}, expected ['near', 'middle']")
        return str(connection.execute("SELECT vec_version()").fetchone()[0])  # type: ignore[index]
    except apsw.Error as error:
        raise VectorSearchUnavailable(str(error)) from error
    finally:
        connection.close()
