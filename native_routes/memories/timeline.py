"""Three overlapping spans that end today, and what was stored and changed in each. Days are UTC's."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, TypeVar

from native_routes.database import Connection
from native_routes.javascript.collation import collation_key
from native_routes.javascript.dates import iso_text, parse_date
from native_routes.javascript.primitives import trim
from native_routes.memories.queries import EVENTS_SINCE, MEMORIES_SINCE, DatedEvent, DatedMemory, Stored
from native_routes.stored_values import bytes_text
from native_routes.tags import parse_tags_of_timeline

DAY_MS: Final = 86_400_000
PRESET: Final = "today-last_week-one_month"
MOST_SHOWN: Final = 5  # of each breakdown
_STRENGTHENED: Final = re.compile("reinfor|strength|consolidat|stabiliz|promot|confidence|refin", re.I | re.A)
Dated = TypeVar("Dated", DatedMemory, DatedEvent)


@dataclass(frozen=True, slots=True)
class Span:
    key: str
    label: str
    days: int  # today included


SPANS: Final = (Span("today", "Today", 1), Span("last_week", "Last week", 7), Span("one_month", "One month", 30))


def read_timeline(connection: Connection, now_ms: int) -> dict[str, Any]:
    """The reply's object. Raises TypeError when a counted text is stored as bytes: legacy fails there too."""
    today_ms = now_ms - now_ms % DAY_MS
    since = iso_text(_start_ms(SPANS[-1], today_ms))
    memories = MEMORIES_SINCE.all(connection, since=since)
    events = EVENTS_SINCE.all(connection, since=since)
    dated_memories, dated_events = _dated(memories), _dated(events)
    return {
        "generatedAt": iso_text(now_ms),
        "generatedFor": iso_text(today_ms),
        "rangePreset": PRESET,
        "totalMemories": len(dated_memories),
        "totalHistoryEvents": len(dated_events),
        "invalidMemoryTimestamps": len(memories) - len(dated_memories),
        "invalidHistoryTimestamps": len(events) - len(dated_events),
        "buckets": [_bucket(index, span, today_ms, dated_memories, dated_events) for index, span in enumerate(SPANS)],
    }


def unbuilt_timeline(now_ms: int) -> dict[str, Any]:
    """What a client gets when the timeline cannot be read."""
    now = iso_text(now_ms)
    return {
        "error": "Failed to build memory timeline",
        "generatedAt": now,
        "generatedFor": now,
        "rangePreset": PRESET,
        "totalMemories": 0,
        "totalHistoryEvents": 0,
        "invalidMemoryTimestamps": 0,
        "invalidHistoryTimestamps": 0,
        "buckets": [],
    }


def _start_ms(span: Span, today_ms: int) -> int:
    return today_ms - (span.days - 1) * DAY_MS


def _dated(rows: Iterable[Dated]) -> list[tuple[int, Dated]]:
    """The rows whose date JavaScript can read, each with its milliseconds since 1970."""
    return [(ms, row) for row in rows if (ms := _ms(row.created_at)) is not None]


def _ms(stored: Stored) -> int | None:
    return parse_date(bytes_text(stored) if isinstance(stored, bytes) else stored)


def _bucket(
    index: int,
    span: Span,
    today_ms: int,
    dated_memories: list[tuple[int, DatedMemory]],
    dated_events: list[tuple[int, DatedEvent]],
) -> dict[str, Any]:
    start_ms, end_ms = _start_ms(span, today_ms), today_ms + DAY_MS - 1
    memories = [memory for ms, memory in dated_memories if start_ms <= ms <= end_ms]
    events = [event for ms, event in dated_events if start_ms <= ms <= end_ms]
    kinds = [event.event for event in events]
    strengthened = [event for event in events if event.event == "recovered" and _strengthens(event.reason)]
    changed = kinds.count("updated") + kinds.count("merged")
    return {
        "eraIndex": index,
        "rangeKey": span.key,
        "label": span.label,
        "start": iso_text(start_ms),
        "end": iso_text(end_ms),
        "memoriesAdded": len(memories),
        "trackedEvents": len(events),
        "evolved": changed + kinds.count("recovered"),
        "strengthened": changed + len(strengthened),
        "recovered": kinds.count("recovered"),
        "avgImportance": _average([memory.importance for memory in memories]),
        "pinned": sum(1 for memory in memories if memory.pinned == 1),
        "typeBreakdown": _most_frequent(_name(memory.type) for memory in memories),
        "sourceBreakdown": _most_frequent(_name(memory.who) for memory in memories),
        "topTags": _most_frequent(tag for memory in memories for tag in parse_tags_of_timeline(memory.tags)),
    }


def _strengthens(reason: Stored) -> bool:
    return isinstance(reason, str) and _STRENGTHENED.search(reason) is not None


def _average(stored: Iterable[Stored]) -> float:
    """Of the finite numbers, within 0..1, three digits; a tie goes up, as in `toFixed(3)`."""
    numbers = [value for value in stored if isinstance(value, int | float) and math.isfinite(value)]
    if not numbers:
        return 0
    total = 0.0
    for number in numbers:  # not sum(), which from Python 3.12 on is more exact than JavaScript's addition
        total += number
    average = min(1.0, max(0.0, total / len(numbers)))
    return float(Decimal(average).quantize(Decimal("0.001"), ROUND_HALF_UP))


def _name(stored: Stored) -> str:
    if isinstance(stored, bytes):
        raise TypeError(f"expected text, found {len(stored)} bytes")
    return trim(stored or "") or "unknown"


def _most_frequent(names: Iterable[str]) -> list[dict[str, Any]]:
    counts = sorted(Counter(names).items(), key=lambda pair: (-pair[1], collation_key(pair[0])))
    return [{"key": key, "count": count} for key, count in counts[:MOST_SHOWN]]
