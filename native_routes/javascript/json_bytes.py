"""`JSON.stringify` as UTF-8, by orjson where its bytes are JavaScript's: most of what a reply took to be written."""

from __future__ import annotations

from typing import Any, Final

import orjson

from native_routes.javascript.primitives import stringify, undefined

_EXACT_INTEGERS: Final = 2**53  # beyond it a JavaScript number rounds
# Between these both write a number's shortest digits without an exponent.
_SMALLEST_PLAIN: Final = 1e-4
_LARGEST_PLAIN: Final = 1e15
_AS_THEY_ARE: Final = frozenset({str, bool, type(None)})


class _Unlike(Exception):
    """A value that orjson does not take, or writes otherwise than JavaScript."""


def stringify_utf8(value: Any) -> bytes:
    """`stringify(value)` in UTF-8, with the same errors for what has no JSON form."""
    try:
        return orjson.dumps(_plain(value))
    except (_Unlike, orjson.JSONEncodeError, RecursionError):
        return stringify(value).encode()  # halves of surrogate pairs, huge and tiny numbers, mappings of other kinds


def _plain(value: Any) -> Any:
    """The same value without `undefined`, whole numbers as integers. Raises _Unlike."""
    kind = type(value)
    if kind is dict:
        return {
            key: item if type(item) in _AS_THEY_ARE else _plain(item)
            for key, item in value.items()
            if item is not undefined
        }
    if kind is list or kind is tuple:
        return [item if type(item) in _AS_THEY_ARE else _plain(item) for item in value]
    if kind is int and -_EXACT_INTEGERS <= value <= _EXACT_INTEGERS:
        return value
    if kind is float:
        return _plain_number(value)
    if kind in _AS_THEY_ARE:
        return value
    if value is undefined:
        return None
    raise _Unlike


def _plain_number(value: float) -> float | int:
    """Raises _Unlike also for what is no finite number."""
    if -_LARGEST_PLAIN < value < _LARGEST_PLAIN:
        if value.is_integer():
            return int(value)
        if abs(value) >= _SMALLEST_PLAIN:
            return value
    raise _Unlike
