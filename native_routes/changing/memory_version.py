"""A memory's version, as the column has it: legacy compares and adds with JavaScript's rules, whatever is stored."""

from __future__ import annotations

from typing import Any

from native_routes.stored_values import bytes_text


def is_other_version(stored: Any, wanted: float | None) -> bool:
    """Whether somebody asks for a version that this is not; None asks for none."""
    if wanted is None:
        return False
    return not isinstance(stored, int | float) or float(stored) != wanted


def next_version(stored: Any) -> Any:
    """`version + 1` as it is answered; what is stored may differ where this is no number."""
    if stored is None:
        return 1
    if isinstance(stored, int | float):
        return float(stored) + 1  # beyond 2^53 it rounds
    return (bytes_text(stored) if isinstance(stored, bytes) else stored) + "1"
