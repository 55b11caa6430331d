"""Vector search for the whole process: one thread with a connection of its own, and one pass for queries that wait."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Final

from native_routes.database import (
    Access,
    DatabaseError,
    DeadlineExceeded,
    SqliteThread,
    VectorSearchUnavailable,
    load_vector_search,
)
from native_routes.embedders import Vector
from native_routes.vector_index import Nearest, Neighbour, VectorIndex, VectorMode, VectorStatus

__all__ = ["MEMORY_LIMIT_BYTES", "Neighbour", "VectorMode", "VectorSearch", "VectorStatus"]

MEMORY_LIMIT_BYTES: Final = 1024**3  # 348,000 vectors of 768 dimensions
MOST_NEIGHBOURS: Final = 4_096  # sqlite-vec's limit
BATCH: Final = 16  # queries that share one pass; more would make the first one wait longer than the pass saves
DEADLINE_S: Final = 10.0
WARM_WITHIN_S: Final = 60.0

_Waiting = tuple[Nearest, asyncio.Future[list[Neighbour]]]


class VectorSearch:
    """One for the process. Nothing is opened before the first search or `warm`, so the anchor is held by then."""

    def __init__(self, path: Path, *, limit_bytes: int = MEMORY_LIMIT_BYTES) -> None:
        self._path = path
        self._index = VectorIndex(limit_bytes)
        self._problem: str | None = None  # why there is no connection, or what failed last
        self._thread: SqliteThread | None = None
        self._opening = asyncio.Lock()
        self._waiting: list[_Waiting] = []
        self._passes: asyncio.Task[None] | None = None

    @property
    def status(self) -> VectorStatus:
        return self._index.status if self._problem is None else VectorStatus(VectorMode.OFF, self._problem)

    async def nearest(self, vector: Vector, count: float) -> list[Neighbour]:
        """The `count` stored vectors nearest to a vector, nearest first.

        [] when vectors cannot be searched or lengths do not fit: legacy goes on without them. Raises DeadlineExceeded.
        """
        if math.isnan(count) or not 0 < count <= MOST_NEIGHBOURS or await self._open() is None:
            return []
        answer: asyncio.Future[list[Neighbour]] = asyncio.get_running_loop().create_future()
        self._waiting.append((Nearest(vector, int(count)), answer))
        if self._passes is None or self._passes.done():
            self._passes = asyncio.get_running_loop().create_task(self._answer_waiting())
        return await answer

    async def warm(self) -> None:
        """Read the vectors into memory now, so that the first search need not wait for it."""
        thread = await self._open()
        if thread is not None:
            await thread.run_within(WARM_WITHIN_S, self._index.answer, [])

    async def close(self) -> None:
        """Answer what waits, then close; the WAL stays as it is. Idempotent."""
        if self._passes is not None:
            await asyncio.wait([self._passes])
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.close()

    async def _open(self) -> SqliteThread | None:
        if self._thread is not None:
            return self._thread
        async with self._opening:
            if self._thread is None:
                thread = SqliteThread(self._path, Access.READ, keeps_wal=True)
                try:
                    await thread.open()
                    await thread.run(load_vector_search)
                except (DatabaseError, VectorSearchUnavailable) as error:
                    await thread.close()
                    self._problem = str(error)
                    return None
                self._thread, self._problem = thread, None
            return self._thread

    async def _answer_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            await self._answer(batch)

    async def _answer(self, batch: list[_Waiting]) -> None:
        assert self._thread is not None
        questions = [question for question, _ in batch]
        try:
            found = await self._thread.run_within(DEADLINE_S, self._index.answer, questions)
        except DeadlineExceeded as error:
            _fail(batch, error)
        except DatabaseError as error:
            self._problem = str(error)
            found = [[] for _ in batch]
            _settle(batch, found)
        except BaseException as error:  # a bug of ours, or the end of the process: nobody may wait for ever
            _fail(batch, error if isinstance(error, Exception) else asyncio.CancelledError())
            raise
        else:
            self._problem = None
            _settle(batch, found)


def _settle(batch: list[_Waiting], found: list[list[Neighbour]]) -> None:
    for (_, answer), neighbours in zip(batch, found, strict=True):
        if not answer.done():  # else its caller is gone
            answer.set_result(neighbours)


def _fail(batch: list[_Waiting], error: BaseException) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
