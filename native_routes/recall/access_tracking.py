"""How often and when memories were recalled: counted at once, written at most 100 ms later in one transaction.

Counts and writes belong to the thread on which searches run, and to its connection: a search sees its own database
with the counts that are not written yet, and its page cache outlives the writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from native_routes.database import Connection, DatabaseError

LATEST_S: Final = 0.1
WRITE_WITHIN_S: Final = 0.05  # how long searches wait while another program writes; then it is tried again
CLOSE_WITHIN_S: Final = 2.0
MOST_PENDING: Final = 100_000  # memories; beyond it the database has refused writes for long, and counts are lost
NEVER: Final = (0, None)

# Legacy: one UPDATE for each search, with 'now'. Several searches of one memory add up to the same row.
RECORD: Final = "UPDATE memories SET last_accessed = :last, access_count = access_count + :count WHERE id = :id"
# The trigger on updates takes a memory's words out of the full-text index and puts the same words in again.
SQLITE_DBCONFIG_ENABLE_TRIGGER: Final = 1003

Write = Callable[[Callable[[Connection], None], float], Awaitable[None]]

log = structlog.get_logger(__name__)


class AccessTracker:
    """One for the process. `of` and `record` are called on the searches' thread, the rest on the event loop."""

    def __init__(self) -> None:
        self.lost = 0  # accesses that could not be written
        self.problem: str | None = None
        self._pending: dict[str, tuple[int, str]] = {}  # memory id -> how often, and last when
        self._write_on_thread: Write | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._stopping = False

    def open(self, write: Write) -> None:
        """Begin to write. `write(work, within_s)` runs `work(connection)` on the searches' thread."""
        self._write_on_thread, self._loop, self._stopping = write, asyncio.get_running_loop(), False
        self._writing = self._loop.create_task(self._write_regularly())

    async def close(self) -> None:
        """Write what is pending. To be called before the searches' thread ends. Idempotent."""
        task, self._writing = self._writing, None
        if task is None:
            return
        self._stopping = True
        self._wake.set()
        await task
        await self.flush(CLOSE_WITHIN_S)
        self.lost += sum(count for count, _ in self._pending.values())

    async def flush(self, within_s: float = WRITE_WITHIN_S) -> None:
        """Write what is pending now; what cannot be written stays pending."""
        if not self._pending or self._write_on_thread is None:
            return
        try:
            await self._write_on_thread(self._write, within_s)
        except DatabaseError as error:
            if self.problem is None:
                log.warning("accesses_not_written", problem=str(error), memories=len(self._pending))
            self.problem = str(error)
            self._wake.set()
        else:
            self.problem = None

    async def _write_regularly(self) -> None:
        while not self._stopping:
            await self._wake.wait()
            if not self._stopping:
                await asyncio.sleep(LATEST_S / 2)  # later searches join; the write has the rest of the time
            self._wake.clear()
            await self.flush()

    # ---- on the thread

    def of(self, memory: str) -> tuple[int, str | None]:
        """How often a memory was recalled, and last when, that its row does not tell yet."""
        return self._pending.get(memory, NEVER)

    def record(self, memories: Iterable[str], when: str) -> None:
        """Count one access of each memory; `when` is UTC as SQLite writes it."""
        pending, was_idle = self._pending, not self._pending
        for memory in memories:
            known = pending.get(memory)
            if known is None and len(pending) >= MOST_PENDING:
                self.lost += 1
            else:
                pending[memory] = (1, when) if known is None else (known[0] + 1, when)
        if was_idle and self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    def _write(self, connection: Connection) -> None:
        connection.config(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        connection.execute("BEGIN IMMEDIATE")
        try:
            accesses = ({"id": memory, "count": n, "last": last} for memory, (n, last) in self._pending.items())
            connection.executemany(RECORD, accesses)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._pending = {}
