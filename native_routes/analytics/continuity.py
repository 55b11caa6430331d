"""How well sessions went on from where others ended: the figures over their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from native_routes.analytics.queries import Stored
from native_routes.javascript.values import to_number, to_text
from native_routes.searching.hybrid_ranking import round_to_2
from native_routes.stored_values import as_json, bytes_text


def summary(scores: Sequence[Stored]) -> dict[str, Any]:
    """Over scores that come newest first; `trend` is how far the newest is above the oldest."""
    return {
        "count": len(scores),
        "average": round_to_2(_average(scores)),
        "trend": round_to_2(_number(scores[0]) - _number(scores[-1]) if len(scores) > 1 else 0),
        "latest": as_json(scores[0]) if scores else None,
    }


def _average(scores: Sequence[Stored]) -> float:
    """Added up from the oldest, as JavaScript adds: a text among them makes a text of the sum."""
    if not scores:
        return 0
    total: float | str = 0.0
    for score in reversed(scores):
        if isinstance(total, float) and isinstance(score, int | float):
            total += score
        else:
            total = _text(total) + _text(score)
    return to_number(total) / len(scores)


def _number(score: Stored) -> float:
    return to_number(bytes_text(score) if isinstance(score, bytes) else score)


def _text(value: Stored) -> str:
    return bytes_text(value) if isinstance(value, bytes) else to_text(value)
