"""Values from JSON where JavaScript's looseness shows: what counts as true, as a number, and what SQLite takes."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from native_routes.javascript.primitives import number_text, trim

SqlValue = str | int | float | None
_WHOLE_END: Final = 2**51  # where JavaScriptCore's own whole numbers end, at -2**51 including
_DECIMAL: Final = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_RADIX: Final = {"0x": 16, "0o": 8, "0b": 2}


def truthy(value: Any) -> bool:
    """JavaScript's Boolean(value): lists, objects and bytes are true, empty ones too."""
    if isinstance(value, list | dict | bytes):
        return True
    return bool(value) and value == value  # NaN is not true


def to_number(value: Any) -> float:
    """`Number(value)`."""
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str):
        return _text_number(trim(value))
    return _text_number(trim(_joined(list(value)))) if isinstance(value, list | bytes) else math.nan


def _text_number(text: str) -> float:
    if not text:
        return 0.0
    base = _RADIX.get(text[:2].lower())
    if base is not None:
        try:
            return float(int(text[2:], base)) if text[2:].isalnum() else math.nan
        except (ValueError, OverflowError):
            return math.nan
    return float(text) if _DECIMAL.fullmatch(text) else math.nan


def _joined(values: list[Any]) -> str:
    """`String(array)`."""
    return ",".join("" if value is None else to_text(value) for value in values)


def to_text(value: Any) -> str:
    """`String(value)`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}Infinity"
    return _joined(value) if isinstance(value, list) else "[object Object]"


class UnbindableError(TypeError):
    """A value that SQLite has no form for: a list or an object. The message is Bun's, as legacy logs it."""

    def __init__(self) -> None:
        super().__init__("Binding expected string, TypedArray, boolean, number, bigint or null")


def shown(value: Any) -> str:
    """`String(value)` of a setting or of what a service sent."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        infinite = "-Infinity" if value < 0 else "Infinity"
        return "NaN" if value != value else infinite if abs(value) == float("inf") else number_text(value)
    if value is None:
        return "null"
    return value if isinstance(value, str) else "[object Object]"


def bindable(value: Any) -> SqlValue:
    """As bun:sqlite binds it: whole numbers of up to 52 bits as INTEGER, others as REAL. Raises UnbindableError."""
    if isinstance(value, list | dict):
        raise UnbindableError
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer() and -_WHOLE_END <= value < _WHOLE_END:
        return int(value) if value or math.copysign(1, value) > 0 else value  # -0 is REAL: "0.0" in a column of text
    if isinstance(value, str):
        return bound_text(value)
    found: SqlValue = value
    return None if isinstance(found, float) and math.isnan(found) else found


def bound_text(text: str) -> str:
    """The text that Bun hands to SQLite, as UTF-16 when it does not fit into Latin-1.

    SQLite takes a byte order mark from its head, and a swapped one for the order of what follows. A lone surrogate
    swallows what follows it, and at the end it is U+FFFD: Bun 1.4.2 takes any surrogate for the first half of a pair
    and the next unit, whatever it is, for the second.
    """
    if text[:1] == "\ufeff":
        text = text[1:]
    elif text[:1] == "\ufffe":
        text = text[1:].encode("utf-16-le", "surrogatepass").decode("utf-16-be", "surrogatepass")
    if not _SURROGATE.search(text):
        return text
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H").tolist()
    units.reverse()  # taken from the end
    found = []
    while units:
        unit = units.pop()
        if not 0xD800 <= unit <= 0xDFFF:
            found.append(chr(unit))
        elif units:
            found.append(chr(0x10000 + ((unit & 0x3FF) << 10) + (units.pop() & 0x3FF)))
        else:
            found.append("\ufffd")
    return "".join(found)


def well_formed(text: str) -> str:
    """`text.toWellFormed()`: pairs of surrogates are one character, a lone one is U+FFFD."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def utf16_length(text: str) -> int:
    """`text.length`: characters beyond U+FFFF count twice."""
    return len(text) if text.isascii() or max(text) <= "\uffff" else len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf16_head(text: str, units: int) -> str:
    """`text.slice(0, units)`; a cut through a character leaves its first half, a lone surrogate."""
    if text.isascii() or max(text) <= "\uffff":
        return text[:units]
    return text.encode("utf-16-le", "surrogatepass")[: units * 2].decode("utf-16-le", "surrogatepass")
