"""How often and when memories were used, as their rows say it plus what is not written yet."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from native_routes.recall.access_tracking import NEVER, AccessTracker

MOST_KNOWN: Final = 50_000


class UseRow(Protocol):
    """Columns hold whatever was stored."""

    @property
    def id(self) -> str: ...
    @property
    def access_count(self) -> Any: ...
    @property
    def last_accessed(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Use:
    """`count` None where the column is NULL, which stays NULL when it is counted up; NaN for a text."""

    count: float | None
    last: Any

    def again(self, times: int, last: str) -> Use:
        if self.count is None:
            return Use(None, last)
        return Use(times if math.isnan(self.count) else self.count + times, last)  # SQLite counts a text from 0


class Uses:
    """Of memories that searches met since the database was last changed by another connection."""

    def __init__(self, tracker: AccessTracker | None) -> None:
        self._tracker = tracker
        self._known: dict[str, Use] = {}

    @property
    def full(self) -> bool:
        return len(self._known) > MOST_KNOWN

    def forget(self) -> None:
        self._known.clear()

    def learn(self, rows: Iterable[UseRow]) -> None:
        """Take over rows that this snapshot shows."""
        for row in rows:
            if row.id not in self._known:
                times, last = NEVER if self._tracker is None else self._tracker.of(row.id)
                use = Use(_number(row.access_count), row.last_accessed)
                self._known[row.id] = use if last is None else use.again(times, last)

    def of(self, memory: str) -> Use | None:
        return self._known.get(memory)

    def count(self, memories: list[str], when: str) -> None:
        """Count one access of each, and have it written."""
        if self._tracker is None:
            return
        self._tracker.record(memories, when)
        for memory in memories:
            use = self._known.get(memory)
            if use is not None:
                self._known[memory] = use.again(1, when)


def _number(stored: Any) -> float | None:
    if stored is None:
        return None
    return stored if isinstance(stored, int | float) else math.nan
