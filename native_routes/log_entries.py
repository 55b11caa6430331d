"""The daemon's log files, read back: one JSON entry a line, a file a day, and archives of files that grew too large.

Nothing here writes a log. Everything blocks on the disk.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from native_routes.javascript.collation import collation_key
from native_routes.javascript.dates import parse_date
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import trim, undefined
from native_routes.javascript.sorting import sorted_as_bun
from native_routes.javascript.values import to_text

T = TypeVar("T")

DEFAULT_LIMIT: Final = 100
LEVELS: Final = {"debug": 0, "info": 1, "warn": 2, "error": 3}
_FILE_NAME: Final = re.compile(r"signet-([0-9]{4}-[0-9]{2}-[0-9]{2})(?:-([^\n\r\u2028\u2029]+))?\.log")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which entries are asked for. Of the filters, "" is none, and so is a level that does not exist."""

    limit: float = DEFAULT_LIMIT  # a whole number; 0 and below give nothing, NaN gives all there is
    level: str | None = None  # this one and what is worse
    category: str | None = None
    since_ms: float | None = None  # NaN for a time that is none: nothing is left out, but what is no entry


class _NoEntryError(ValueError):
    """A line whose value has no properties, asked for one."""


def recent_entries(folder: Path, query: LogQuery) -> list[Any]:
    """The last entries that fit, oldest first.

    Legacy: the tail of each file is cut at twice the limit before it is filtered, so fewer can be found than exist.
    """
    most = query.limit * 2
    found: list[Any] = []
    for path in newest_first(folder):
        if len(found) >= most:
            break
        lines = _lines(path)
        found += _fitting(_tail(lines, most), query)
    _sort_by_time(found)
    return _tail(found, query.limit)


def _tail(items: list[T], most: float) -> list[T]:
    """The last `most`, which may be infinite; all of them for NaN."""
    if math.isnan(most) or most >= len(items):
        return items
    return items[len(items) - int(most) :] if most > 0 else []


def newest_first(folder: Path) -> list[Path]:
    """Latest day first; within a day the file in use, then its archives, the latest first."""
    try:
        names = [(match, path) for path in folder.iterdir() if (match := _FILE_NAME.fullmatch(path.name))]
    except OSError:
        return []
    archives = [pair for pair in names if pair[0][2] is not None]
    archives.sort(key=lambda pair: collation_key(pair[0][2]), reverse=True)
    ordered = [pair for pair in names if pair[0][2] is None] + archives
    ordered.sort(key=lambda pair: pair[0][1], reverse=True)
    return [path for _, path in ordered]


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError:
        return []
    return [line for line in trim(text).split("\n") if line]


def _fitting(lines: list[str], query: LogQuery) -> Iterator[Any]:
    for line in lines:
        try:
            entry = parse_json(line)
            if _fits(entry, query):
                yield entry
        except (ValueError, RecursionError):
            continue  # no JSON, or no entry


def _fits(entry: Any, query: LogQuery) -> bool:
    if query.level and _is_below(_property(entry, "level"), query.level):
        return False
    if query.category and _property(entry, "category") != query.category:
        return False
    if query.since_ms is None:
        return True
    ms = _time_ms(_property(entry, "timestamp"))
    return ms is None or not ms < query.since_ms


def _is_below(level: Any, wanted: str) -> bool:
    rank, least = LEVELS.get(level) if isinstance(level, str) else None, LEVELS.get(wanted)
    return rank is not None and least is not None and rank < least


def _property(entry: Any, name: str) -> Any:
    """`undefined` where there is none, as in a number or a list. Raises _NoEntryError for null."""
    if entry is None:
        raise _NoEntryError(f"null has no {name}")
    return entry.get(name, undefined) if isinstance(entry, dict) else undefined


def _sort_by_time(entries: list[Any]) -> None:
    """Oldest first. A null among them ends legacy's sorting, and with it the order they had stays.

    An entry without a time, which no daemon writes, compares as equal to every other.
    """
    if any(entry is None for entry in entries):
        return
    times = {id(entry): _time_ms(_property(entry, "timestamp")) for entry in entries}
    if None in times.values():
        entries[:] = sorted_as_bun(entries, lambda left, right: _is_earlier(times[id(left)], times[id(right)]))
    else:
        entries.sort(key=lambda entry: times[id(entry)] or 0)


def _is_earlier(left: int | None, right: int | None) -> bool:
    return left is not None and right is not None and left < right


def _time_ms(timestamp: Any) -> int | None:
    """`new Date(timestamp)` of a value from JSON; None for an invalid one."""
    if isinstance(timestamp, str | list):
        return parse_date(to_text(timestamp))
    if timestamp is None:
        return 0
    if isinstance(timestamp, bool | int | float) and math.isfinite(timestamp):
        return math.trunc(timestamp) if abs(timestamp) <= 8.64e15 else None
    return None
