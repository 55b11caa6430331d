"""A word for who comes home. The model that finds better ones is legacy's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from native_routes.javascript.dates import iso_text, parse_date

KEPT_MS: Final = 3_600_000


class Greetings:
    """Keeps a greeting for an hour, whatever the time of day is by then, as legacy does."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}
        self._until_ms = 0

    def now(self, now_ms: int, told: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """`greeting` and `cachedAt`: what legacy told, while that is not older than an hour; else ours."""
        if told is not None and _is_recent(told, now_ms):
            return {"greeting": told["greeting"], "cachedAt": told["cachedAt"]}
        if now_ms >= self._until_ms:
            hour = time.localtime(now_ms / 1000).tm_hour
            self._own = {"greeting": f"good {_time_of_day(hour)}", "cachedAt": iso_text(now_ms)}
            self._until_ms = now_ms + KEPT_MS
        return self._own


def _is_recent(told: Mapping[str, Any], now_ms: int) -> bool:
    cached_at = told.get("cachedAt")
    cached_ms = parse_date(cached_at) if isinstance(cached_at, str) else None
    return isinstance(told.get("greeting"), str) and cached_ms is not None and now_ms - cached_ms < KEPT_MS


def _time_of_day(hour: int) -> str:
    return "morning" if hour < 12 else "afternoon" if hour < 17 else "evening"
