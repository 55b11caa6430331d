"""Work that goes on when the client is gone, as it does in the legacy daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")
_running: Final[set[asyncio.Task[Any]]] = set()  # the loop itself only keeps weak references


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. When the caller is cancelled, `work` is not; only the end of the loop ends it."""
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return await asyncio.shield(task)
