"""How often and when memories were recalled: counted at once, written at most 100 ms later in one transaction.

A search sees the counts that are not written yet, so a query that follows at once ranks as if they were.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from native_routes.database import Access, Connection, DatabaseError, SqliteThread

LATEST_S: Final = 0.1
WRITE_WITHIN_S: Final = 10.0
MOST_PENDING: Final = 100_000  # memories; beyond it the database has refused writes for long, and counts are lost

# Legacy: one UPDATE for each search, with 'now'. Several searches of one memory add up to the same row.
RECORD: Final = "UPDATE memories SET last_accessed = :last, access_count = access_count + :count WHERE id = :id"
# The trigger on updates takes a memory's words out of the full-text index and puts the same words in again.
SQLITE_DBCONFIG_ENABLE_TRIGGER: Final = 1003

log = structlog.get_logger(__name__)

_Accesses = dict[str, tuple[int, str]]  # memory id -> how often, and last when


@dataclass(frozen=True, slots=True)
class Pending:
    """Accesses that one snapshot of the database does not show: those being written when it began, and later ones."""

    writing: _Accesses = field(default_factory=dict)
    waiting: _Accesses = field(default_factory=dict)

    def of(self, memory: str) -> tuple[int, str | None]:
        """How often, and last when; (0, None) for none."""
        earlier, later = self.writing.get(memory), self.waiting.get(memory)
        if earlier is None:
            return later or (0, None)
        return (earlier[0] + later[0], later[1]) if later else earlier


NOTHING_PENDING: Final = Pending()


class AccessTracker:
    """One for the process: its own write connection and thread. `record` is called on the threads of searches."""

    def __init__(self, path: Path) -> None:
        self._thread = SqliteThread(path, Access.WRITE, keeps_wal=True)
        self._lock = threading.Lock()  # held for as long as a commit takes, and by a search while its snapshot begins
        self._writing: _Accesses = {}
        self._waiting: _Accesses = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self.lost = 0  # accesses that could not be written
        self.problem: str | None = None

    async def open(self) -> None:
        """Begin to write. Raises DatabaseError."""
        await self._thread.open()
        await self._thread.run(_without_triggers)
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._task = self._loop.create_task(self._write_regularly())

    async def close(self) -> None:
        """Write what is pending, then close. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        self._wake.set()
        await task
        await self._thread.close()

    async def flush(self) -> None:
        """Return when everything recorded so far is in the database, or lost."""
        if self._task is not None and (self._waiting or self._writing):
            await self._write()

    def begin(self, connection: Connection) -> Pending:
        """Begin the connection's snapshot, and say what it does not show. Called on a search's thread."""
        with self._lock:
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
            return Pending(self._writing, self._waiting)

    def record(self, memories: Iterable[str], when: str) -> None:
        """Count one access of each memory; `when` is UTC as SQLite writes it. Called on a search's thread."""
        with self._lock:
            was_idle = not self._waiting
            for memory in memories:
                known = self._waiting.get(memory)
                if known is not None:
                    self._waiting[memory] = (known[0] + 1, max(known[1], when))
                elif len(self._waiting) < MOST_PENDING:
                    self._waiting[memory] = (1, when)
                else:
                    self.lost += 1
        if was_idle and self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _write_regularly(self) -> None:
        while not self._stopping:
            await self._wake.wait()
            if not self._stopping:
                await asyncio.sleep(LATEST_S / 2)  # later searches join; the commit has the rest of the time
            self._wake.clear()
            await self._write()

    async def _write(self) -> None:
        try:
            await self._thread.run_within(WRITE_WITHIN_S, self._write_pending)
        except DatabaseError as error:
            if self.problem is None:
                log.warning("accesses_not_written", problem=str(error), memories=len(self._waiting))
            self.problem = str(error)
            if self._stopping:
                self.lost += sum(count for count, _ in self._waiting.values())
        else:
            self.problem = None

    # ---- on the thread

    def _write_pending(self, connection: Connection) -> None:
        with self._lock:
            self._writing, self._waiting = self._waiting, {}
        try:
            self._write_all(connection)
        except BaseException:
            # What was not written waits for the next time.
            with self._lock:
                self._waiting = _sum(self._writing, self._waiting)
                self._writing = {}
            raise

    def _write_all(self, connection: Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for memory, (count, last) in self._writing.items():
                connection.execute(RECORD, {"id": memory, "count": count, "last": last})
            with self._lock:
                connection.execute("COMMIT")
                self._writing = {}
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _sum(earlier: _Accesses, later: _Accesses) -> _Accesses:
    total = dict(earlier)
    for memory, (count, last) in later.items():
        before = total.get(memory)
        total[memory] = (before[0] + count, last) if before else (count, last)
    return total


def _without_triggers(connection: Connection) -> None:
    connection.config(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
