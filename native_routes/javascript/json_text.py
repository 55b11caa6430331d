"""Reading JSON as `JSON.parse` does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

DEEPEST: Final = 200  # arrays and objects in one another; whoever walks through them takes up to 3 calls for each
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_INDEXES_END: Final = 2**32 - 1  # Source: ECMA-262 array index


def parse_json(text: str) -> Any:
    """Numbers are doubles; of repeated keys the last counts; keys that are array indexes come first, in their order.

    Raises ValueError for what is not JSON: NaN, Infinity and a byte order mark too. Differs: what is nested more than
    DEEPEST deep counts as no JSON, because Python's stack ends; legacy takes any depth.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > DEEPEST and _is_deeper(value, DEEPEST):
        raise _too_deep()
    return value


def _too_deep() -> ValueError:
    return ValueError(f"the JSON is nested more than {DEEPEST} deep")


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [item for outer in level for item in _items(outer) if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _items(outer: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    indexes = [key for key in found if _INDEX.fullmatch(key) and int(key) < _INDEXES_END]
    if not indexes:
        return found
    return {key: found[key] for key in sorted(indexes, key=int)} | found


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=float, parse_constant=_refused)
