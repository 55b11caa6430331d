"""How loosely typed input, from JSON or a query string, becomes a value; None where legacy has "as if absent"."""

from __future__ import annotations

import math
from typing import Final

from native_routes.javascript.primitives import parse_float, trim

_BOOLS: Final = {"1": True, "true": True, "0": False, "false": False}


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


def optional_bool(value: object) -> bool | None:
    """A bool, 1 or 0, or a text that says one of them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else None
    return _BOOLS.get(trim(value).lower()) if isinstance(value, str) else None
