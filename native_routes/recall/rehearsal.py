"""Memories that are recalled often and lately rank higher."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Final

from native_routes.hybrid_ranking import Candidate, rehearsal_factor, sort_by_score
from native_routes.js_dates import parse_date
from native_routes.memory_config import SearchConfig
from native_routes.recall.uses import Uses

_DAY_MS: Final = 86_400_000
_date = lru_cache(maxsize=8_192)(parse_date)  # memories recalled together share the second


def boost_rehearsed(candidates: list[Candidate], uses: Uses, config: SearchConfig, now_ms: int) -> None:
    half_life = config.rehearsal_half_life_days
    for candidate in candidates:
        use = uses.of(candidate.id)
        if use is None or use.count is None or use.count <= 0:
            continue
        days = _days_since(use.last, now_ms, half_life)
        candidate.score *= rehearsal_factor(use.count, days, weight=config.rehearsal_weight, half_life_days=half_life)
    sort_by_score(candidates)


def _days_since(last: Any, now_ms: int, otherwise: float) -> float:
    """`last` has no zone and is UTC; legacy reads it as local time, which shows outside UTC only."""
    if not isinstance(last, str) or not last:
        return otherwise
    ms = _date(last)
    return math.nan if ms is None else (now_ms - ms) / _DAY_MS
