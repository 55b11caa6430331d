"""Memories that are recalled often and lately rank higher."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

from native_routes.javascript.dates import parse_date
from native_routes.javascript.values import to_number, truthy
from native_routes.memory_config import SearchConfig
from native_routes.searching.hybrid_ranking import Candidate, rehearsal_factor, sort_by_score
from native_routes.stored_values import bytes_text

_DAY_MS: Final = 86_400_000
_date = lru_cache(maxsize=8_192)(parse_date)  # memories recalled together share the second


class Use(Protocol):
    """How often and when a memory was recalled; columns hold whatever was stored."""

    @property
    def access_count(self) -> Any: ...
    @property
    def last_accessed(self) -> Any: ...


def boost_rehearsed(candidates: list[Candidate], uses: Mapping[str, Use], config: SearchConfig, now_ms: int) -> None:
    """`uses` by memory id; a memory without one, and a count of 0 or below, change nothing."""
    half_life = config.rehearsal_half_life_days
    for candidate in candidates:
        use = uses.get(candidate.id)
        if use is None or (count := _count(use.access_count)) is None:
            continue
        days = _days_since(use.last_accessed, now_ms, half_life)
        candidate.score *= rehearsal_factor(count, days, weight=config.rehearsal_weight, half_life_days=half_life)
    sort_by_score(candidates)


def _count(stored: Any) -> float | None:
    """None for 0 or below. NaN for a text that is no number: legacy adds 1 to it, which makes "0x1" into "0x11"."""
    if type(stored) is int:
        return stored if stored > 0 else None
    if to_number(stored) <= 0:
        return None
    if isinstance(stored, bytes):  # text, too
        stored = bytes_text(stored)
    return to_number(f"{stored}1") - 1 if isinstance(stored, str) else to_number(stored)


def _days_since(last: Any, now_ms: int, otherwise: float) -> float:
    """`last` has no zone and is UTC; legacy reads it as local time, which shows outside UTC only."""
    if not truthy(last):
        return otherwise
    ms = _date(bytes_text(last) if isinstance(last, bytes) else last)
    return math.nan if ms is None else (now_ms - ms) / _DAY_MS
