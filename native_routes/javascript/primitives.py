"""JavaScript's rules for numbers, white space and JSON, where Python's own differ. One definition for each rule."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any, Final

# Source: ECMA-262 WhiteSpace and LineTerminator. Python's strip() also takes U+0085 and U+001C-001F, and leaves U+FEFF.
WHITE_SPACE: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_DIGITS = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT_INTEGERS: Final = 2**53  # beyond it a JavaScript number rounds


class Undefined:
    """JavaScript's `undefined`: a key with it is omitted, in an array it becomes null."""

    def __repr__(self) -> str:
        return "undefined"


undefined: Final = Undefined()


def trim(text: str) -> str:
    return text.strip(WHITE_SPACE)


def parse_int(text: str) -> float:
    """`parseInt(text, 10)`: the longest prefix of digits, NaN when there is none."""
    digits = _DIGITS.match(text.lstrip(WHITE_SPACE))
    return float(digits[0]) if digits else math.nan


def parse_float(text: str) -> float:
    """`parseFloat(text)`: the longest prefix that is a decimal literal, NaN when there is none."""
    literal = _DECIMAL.match(text.lstrip(WHITE_SPACE))
    return float(literal[0]) if literal else math.nan


def number_text(value: float) -> str:
    """The text of a finite number as `String(value)`: exponents only from 1e21 on and below 1e-6.

    Source: ECMA-262 Number::toString. Python's repr finds the same shortest digits and places the exponent elsewhere.
    """
    if isinstance(value, int) and -_EXACT_INTEGERS <= value <= _EXACT_INTEGERS:
        return str(int(value))
    value = float(value)
    text = repr(value)
    if "e" not in text and not text.endswith(".0"):
        return text  # as most are
    if value == 0:
        return "0"  # minus zero too
    sign, digits, point = _digits_and_point(value)
    if 0 < point <= 21:
        whole = digits[:point].ljust(point, "0")
        return f"{sign}{whole}.{digits[point:]}" if len(digits) > point else sign + whole
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    exponent = point - 1
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if exponent > 0 else '-'}{abs(exponent)}"


def _digits_and_point(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits without outer zeros, and how many of them stand before the decimal point."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + ("" if fraction == "0" else fraction)
    point = len(whole) + int(exponent or 0)
    significant = digits.lstrip("0")
    point -= len(digits) - len(significant)
    return "-" if value < 0 else "", significant.rstrip("0"), point


def stringify(value: Any) -> str:
    """`JSON.stringify(value)`: no white space, keys in their order, undefined omitted, non-finite numbers null.

    Takes None, bool, int, float, str, sequences and mappings with text keys. Raises TypeError for anything else,
    so that a row or a datetime never reaches a client by accident. Integer-like keys keep their place here;
    JavaScript would move them to the front.
    """
    pieces: list[str] = []
    _write(value, pieces.append)
    text = "".join(pieces)
    if not text.isascii() and _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")  # pairs become one character
        text = _SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text)
    return text


def _write(value: Any, add: Callable[[str], None]) -> None:
    if isinstance(value, str):
        add(encode_basestring(value))  # quotes, backslash and controls only; U+007F and beyond stay as they are
    elif type(value) is dict:
        _write_object(value, add)  # before the others: whether something is a Mapping takes long to find out
    elif value is None or value is undefined:
        add("null")
    elif isinstance(value, bool):
        add("true" if value else "false")
    elif isinstance(value, int | float):
        add(number_text(value) if math.isfinite(value) else "null")
    elif isinstance(value, Mapping):
        _write_object(value, add)
    elif isinstance(value, list | tuple):
        separator = "["
        for item in value:
            add(separator)
            _write(item, add)
            separator = ","
        add("[]" if separator == "[" else "]")
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def _write_object(value: Mapping[str, Any], add: Callable[[str], None]) -> None:
    separator = "{"
    for key, item in value.items():
        if item is undefined:
            continue
        if not isinstance(key, str):
            raise TypeError(f"{key!r} is no JSON key: expected text")
        add(f"{separator}{encode_basestring(key)}:")
        _write(item, add)
        separator = ","
    add("{}" if separator == "{" else "}")
