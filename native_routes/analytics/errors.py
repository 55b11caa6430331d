"""Errors of the pipeline's workers. They are legacy's, and so is the ring of the last 500 in its memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

TARGET: Final = b"/api/analytics/errors?limit=0"  # legacy's way to ask for all of them
DEFAULT_LIMIT: Final = 50


def told_errors(answer: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """All that legacy told last, oldest first."""
    errors = (answer or {}).get("errors")
    return [error for error in errors if isinstance(error, Mapping)] if isinstance(errors, list) else []


def told_summary(answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """How often each code occurs among them."""
    summary = (answer or {}).get("summary")
    return summary if isinstance(summary, Mapping) else {}


def last_errors(
    errors: Sequence[Mapping[str, Any]],
    stage: str | None = None,
    since: str | None = None,
    limit: float = DEFAULT_LIMIT,
) -> list[Mapping[str, Any]]:
    """The last `limit` of a stage since a time, compared as texts; "" is no filter.

    `limit` as in `slice(-limit)`: 0 and NaN give all, a negative one leaves out so many of the oldest.
    """
    found = [
        error
        for error in errors
        if (not stage or error.get("stage") == stage) and (not since or _is_since(error.get("timestamp"), since))
    ]
    start = 0 if math.isnan(limit) else -int(max(-1e9, min(1e9, limit)))
    return found[start:]


def _is_since(timestamp: Any, since: str) -> bool:
    return isinstance(timestamp, str) and timestamp >= since
