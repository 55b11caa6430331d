"""How loosely typed input, from JSON or a query string, becomes a value; None where legacy has "as if absent"."""

from __future__ import annotations

import math

from native_routes.javascript import parse_float, trim


def optional_number(value: object) -> float | None:
    """A finite number, or a text that begins with one. A bool is not a number."""
    if isinstance(value, str):
        value = parse_float(value)  # NaN for blanks
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def optional_positive_integer(value: object) -> int | None:
    number = optional_number(value)
    return int(number) if number is not None and number > 0 and number == int(number) else None


def optional_text(value: object) -> str | None:
    """Text without outer white space, None when nothing is left."""
    return trim(value) or None if isinstance(value, str) else None
