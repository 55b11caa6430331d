"""What JavaScript's objects have and Python's mappings have not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

T = TypeVar("T")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_INDEXES_END: Final = 2**32 - 1  # Source: ECMA-262 array index
# Every object answers to these names with a function. Source: ECMA-262 Object.prototype
METHODS: Final = frozenset(
    {
        *("constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable"),
        *("toLocaleString", "toString", "valueOf"),
        *("__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"),
    }
)
PROTOTYPE: Final = "__proto__"  # and to this one with an object that shows no key


def in_key_order(values: Mapping[str, T]) -> dict[str, T]:
    """Keys that are array indexes first, by number; then the others as they were put in."""
    indexes = [key for key in values if _INDEX.fullmatch(key) and int(key) < _INDEXES_END]
    return {key: values[key] for key in sorted(indexes, key=int)} | dict(values)
