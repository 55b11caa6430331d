"""The vector in what a provider sends, read as legacy reads it: whatever is there goes into `new Float32Array(...)`."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from native_routes.javascript.json_text import parse_json
from native_routes.javascript.values import to_number, truthy
from native_routes.request_body import body_text

_MINUS_ZERO: Final = re.compile(rb"-0(?![.0-9])")
MOST_DIMENSIONS: Final = 65_536
LARGEST_EXACT: Final = 2**53 - 1
LONGEST_ARRAY: Final = 2**32  # beyond it JavaScript makes none


class NoVectorError(ValueError):
    """The reply is JSON, and has no vector where it belongs."""


class ArrayLengthError(ValueError):
    """A number that no array can have as its length; the message is that of legacy's engine."""


def ollama_vector(reply: Any) -> Any:
    return reply.get("embedding") if isinstance(reply, dict) else None


def openai_vector(reply: Any) -> Any:
    """`reply.data[0].embedding`, where an object may have a key "0" as well."""
    data = reply.get("data") if isinstance(reply, dict) else None
    first = data[0] if isinstance(data, list) and data else data.get("0") if isinstance(data, dict) else None
    return first.get("embedding") if isinstance(first, dict) else None


def read_vector(body: bytes, find: Callable[[Any], Any]) -> NDArray[np.float32]:
    """The numbers in a reply, where `find` looks for them; zeros, or nothing, for what is no list.

    Raises NoVectorError where there is nothing, ArrayLengthError, and ValueError for what is no JSON.
    """
    values = find(_parsed(body))
    if not truthy(values):
        raise NoVectorError("expected a list of numbers")
    if not isinstance(values, list | dict):
        return np.zeros(_length(values), dtype=np.float32)
    numbers = values if isinstance(values, list) else _items(values)
    try:
        found = array("f", numbers)  # beyond a float32 a number becomes infinite, as in JavaScript
    except (TypeError, OverflowError):  # something is no number, or a whole number beyond every double
        found = array("f", map(to_number, numbers))
    return np.frombuffer(found, dtype=np.float32)


def _parsed(body: bytes) -> Any:
    """Raises ValueError."""
    if not _MINUS_ZERO.search(body):  # which orjson reads as 0
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # it refuses some of what JSON.parse takes, such as halves of surrogate pairs
    return parse_json(body_text(body))


def _length(value: Any) -> int:
    """Of an array made from `value`, 0 also where it is too long to be any vector's. Raises ArrayLengthError."""
    number = to_number(value)
    if number != number:  # NaN
        return 0
    if number <= -1:
        raise ArrayLengthError("length cannot be negative")
    if number > LARGEST_EXACT:
        raise ArrayLengthError("length larger than (2 ** 53) - 1")
    if number >= LONGEST_ARRAY:
        raise ArrayLengthError("Out of memory")
    return int(number) if number <= MOST_DIMENSIONS else 0


def _items(values: dict[str, Any]) -> list[float]:
    """Of an object that has a `length`, as arrays have."""
    length = to_number(values["length"]) if "length" in values else 0.0
    count = int(min(length, MOST_DIMENSIONS)) if length > 0 else 0
    return [to_number(values[str(at)]) if str(at) in values else float("nan") for at in range(count)]
