"""A score from 0 to 1 and the word for it, as every domain begins with them."""

from __future__ import annotations

from typing import Any, Final

HEALTHY_FROM: Final = 0.8
DEGRADED_FROM: Final = 0.5

Domain = dict[str, Any]
"""One domain as JSON shows it: `score`, `status`, then what they follow from."""


def scored(score: float, **facts: Any) -> Domain:
    score = within_bounds(score)
    return {"score": score, "status": status_of(score), **facts}


def within_bounds(score: float) -> float:
    return max(0.0, min(1.0, score))


def status_of(score: float) -> str:
    if score >= HEALTHY_FROM:
        return "healthy"
    return "degraded" if score >= DEGRADED_FROM else "unhealthy"
