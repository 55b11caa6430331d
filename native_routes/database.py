"""SQLite's connections under the project's rules, its errors in our words, and sqlite-vec.

The only module that imports apsw and sqlite-vec. Connections live on threads, not on the event loop: sqlite_thread.py
for one, reader.py for some that read, writer.py for the one that writes. Python's own `sqlite3` must not open a file
that is open here: it is a second copy of SQLite in the same process, and closing a file there drops the POSIX locks
held here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path

import apsw

from native_routes.query import Query

__all__ = [
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
    "Query",
    "SchemaMismatch",
    "StatementError",
    "VectorSearchUnavailable",
    "check_vector_search",
    "checkpoint",
    "close",
    "connect",
    "copy_database",
    "load_vector_search",
    "mapped",
    "on_commit",
    "read_pieces",
    "show_words",
    "tokens_of",
    "translated",
    "vector_library_path",
]

Connection = apsw.Connection

MOST_MAPPED = 0x7FFF0000  # bytes; SQLite's own limit. What lies behind is read as ever
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
        SchemaMismatch   it names a table or a column that the database does not have
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


class SchemaMismatch(StatementError): ...


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


_UNKNOWN_NAME = re.compile("no such (table|column)|has no column named")  # SQLite has no code of its own for it


def _kind(error: apsw.Error) -> type[DatabaseError]:
    ours = next((ours for theirs, ours in _ERRORS if isinstance(error, theirs)), DatabaseError)
    return SchemaMismatch if ours is StatementError and _UNKNOWN_NAME.search(str(error)) else ours


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """apsw's errors as ours. Work that runs on a connection's thread needs it only to act on an error itself."""
    try:
        yield
    except apsw.Error as error:
        raise _kind(error)(str(error)) from error


def connect(
    path: Path,
    access: Access,
    *,
    keeps_wal: bool,
    is_over: Callable[[], bool],
    steps_per_look: int,
    waits: Callable[[int], bool],
) -> Connection:
    """A connection of the calling thread. Raises DatabaseError.

    `is_over` is asked every `steps_per_look` steps of SQLite's machine, and ends the statement. `waits` is asked with
    the number of earlier attempts when another connection holds the lock; False gives up. `keeps_wal`: see `close`.
    """
    with translated():
        connection = apsw.Connection(str(path), flags=access.value)
        connection.set_progress_handler(is_over, steps_per_look)
        connection.set_busy_handler(waits)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(keeps_wal))
        if access is Access.OWN:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=OFF")
        return connection


def close(connection: Connection, *, keeps_wal: bool) -> None:
    """`keeps_wal`: the WAL is neither copied nor removed, even when SQLite believes this to be the last connection."""
    with contextlib.suppress(DatabaseError), translated():
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(keeps_wal))
        connection.close()


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


@contextlib.contextmanager
def mapped(connection: Connection) -> Iterator[None]:
    """The file in memory for the block, so that SQLite looks at pages where they are.

    For what looks at many pages once: copying them takes two to three times as long, and drives others out of the
    cache. No longer than that, since mapped pages count as memory of the process, and a file that a third program cuts
    short ends a process that reads there.
    """
    connection.pragma("mmap_size", MOST_MAPPED)
    try:
        yield
    finally:
        connection.pragma("mmap_size", 0)


def read_pieces(
    connection: Connection, table: str, column: str, rowid: int, starts: Sequence[int], length: int
) -> list[bytes]:
    """From each start so many bytes of one blob; fewer where it ends. Raises an error when there is no such blob.

    SQLite finds the end of a blob page by page.
    """
    with mapped(connection), contextlib.closing(connection.blob_open("main", table, column, rowid, False)) as blob:
        return [_piece(blob, start, length) for start in starts]


def _piece(blob: apsw.Blob, start: int, length: int) -> bytes:
    blob.seek(min(start, blob.length()))
    return blob.read(length)


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
