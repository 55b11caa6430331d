"""One connection that writes, on one thread. Works that wait at the same time share a transaction while none fails.

Nothing is acknowledged before COMMIT. Another process may hold the write lock: it is asked for again and again until
the callers' time is over, and left free for a moment between transactions, so that the other one gets its turn as well.
What the thread does is in write_thread.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from native_routes.database import Access, Connection, DatabaseBusy
from native_routes.sqlite_thread import DEFAULT_DEADLINE_S, SqliteThread
from native_routes.write_thread import Together, Work, Works, WriteCounts, WriteThread

GRACE_S: Final = 0.25  # how long after its deadline a work waits to hear from the thread why
MOST_WAITING: Final = 2_000  # beyond it a work is refused: it would only wait until its deadline
T = TypeVar("T")
Item = TypeVar("Item")


class Writer:
    """The one way to write to a database. The file is opened by the first `run`, and never closed in between."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts = WriteCounts()
        self.waiting = 0  # works queued or under way; used on the event loop only
        self._thread: WriteThread | None = None
        self._beside = SqliteThread(path, Access.WRITE, keeps_wal=True, pending=1)
        self._opening = asyncio.Lock()
        self._leaving: Works = []  # those of this turn of the loop, which reach the thread at once

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
        result: T = await self._done(deadline_s, alone=work)
        return result

    async def run_together(
        self,
        work: Callable[[Connection, Sequence[Item]], Sequence[T]],
        item: Item,
        *,
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> T:
        """The same for a work that takes any number of items, those of several callers in their order, each at once.

        It returns a result for each item, or raises; then each is tried alone. Other works of this kind may change
        their order with it. To be given the same function each time, by which those that go together are known.
        """
        result: T = await self._done(deadline_s, together=work, item=item)
        return result

    async def _done(
        self,
        deadline_s: float,
        *,
        alone: Callable[[Connection], Any] | None = None,
        together: Together | None = None,
        item: Any = None,
    ) -> Any:
        ends_s = time.monotonic() + deadline_s
        if self.waiting >= MOST_WAITING:
            raise DatabaseBusy(f"{self.waiting} writes to {self.path.name} are waiting already")
        while (thread := self._thread) is None or not thread.is_open:
            # Shielded: a caller that leaves meanwhile must not leave a thread that nobody knows of.
            await asyncio.shield(asyncio.ensure_future(self._open()))
        loop = asyncio.get_running_loop()
        work = Work(loop.create_future(), ends_s, alone, together, item)
        alarm = loop.call_later(max(0.0, ends_s - time.monotonic()) + GRACE_S, thread.expire, work)
        self.waiting += 1
        if not self._leaving:
            loop.call_soon(self._hand_over)
        self._leaving.append(work)
        try:
            return await work.future
        except asyncio.CancelledError:
            work.give_up()
            raise
        finally:
            alarm.cancel()
            self.waiting -= 1

    def _hand_over(self) -> None:
        """All works of this turn of the loop: the thread is woken once, and does them together."""
        works, self._leaving = self._leaving, []
        if works and self._thread is not None:
            self._thread.put(works)

    async def close(self) -> None:
        """Close after the works that wait. Idempotent; the next `run` opens anew."""
        async with self._opening:
            self._hand_over()
            thread, self._thread = self._thread, None
            if thread is not None:
                await thread.close()
            await self._beside.close()

    async def _open(self) -> None:
        async with self._opening:
            if self._thread is None or not self._thread.is_open:
                await self._beside.close()  # of a thread that is gone
                await self._beside.open()
                thread = WriteThread(self.path, self.counts, self._beside)
                try:
                    await thread.open()
                except Exception:
                    await self._beside.close()
                    raise
                self._thread = thread
