"""Memories that are recalled often and lately rank higher."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

from native_routes.hybrid_ranking import Candidate, rehearsal_factor, sort_by_score
from native_routes.js_dates import parse_date
from native_routes.memory_config import SearchConfig
from native_routes.recall.access_tracking import Pending

_DAY_MS: Final = 86_400_000
_date = lru_cache(maxsize=8_192)(parse_date)  # memories recalled together share the second


class Use(Protocol):
    """A row that tells how a memory was used; columns hold whatever was stored."""

    @property
    def access_count(self) -> Any: ...
    @property
    def last_accessed(self) -> Any: ...


def boost_rehearsed(
    candidates: list[Candidate], uses: Mapping[str, Use], config: SearchConfig, now_ms: int, pending: Pending
) -> None:
    """`pending` are accesses that the rows of `uses` do not show yet."""
    half_life = config.rehearsal_half_life_days
    for candidate in candidates:
        use = uses[candidate.id]
        more, when = pending.of(candidate.id)
        count = _count(use.access_count, more)
        if count <= 0:
            continue
        days = _days_since(when or use.last_accessed, now_ms, half_life)
        candidate.score *= rehearsal_factor(count, days, weight=config.rehearsal_weight, half_life_days=half_life)
    sort_by_score(candidates)


def _count(stored: Any, more: int) -> float:
    """What legacy would read: NULL stays NULL when it is counted up, a text counts from 0 and is no number before."""
    if stored is None:
        return 0
    if isinstance(stored, int | float):
        return stored + more
    return more or math.nan


def _days_since(last: Any, now_ms: int, otherwise: float) -> float:
    """`last` has no zone and is UTC; legacy reads it as local time, which shows outside UTC only."""
    if not isinstance(last, str) or not last:
        return otherwise
    ms = _date(last)
    return math.nan if ms is None else (now_ms - ms) / _DAY_MS
