"""Reading JSON as `JSON.parse` does."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_INDEXES_END: Final = 2**32 - 1  # Source: ECMA-262 array index


def parse_json(text: str) -> Any:
    """Numbers are doubles; of repeated keys the last counts; keys that are array indexes come first, in their order.

    Raises ValueError for what is not JSON: NaN, Infinity and a byte order mark too.
    """
    return _DECODER.decode(text)


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    indexes = [key for key in found if _INDEX.fullmatch(key) and int(key) < _INDEXES_END]
    if not indexes:
        return found
    return {key: found[key] for key in sorted(indexes, key=int)} | found


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=float, parse_constant=_refused)
