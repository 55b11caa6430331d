"""The timeline of memories. Expectations: Signet 0.58.1 with the same rows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from native_routes.reader import Reader
from tests.native_routes.home_database import HomeDatabase
from tests.native_routes.memories_requests import Context, Heard, get

TODAY = "2026-11-21T01:00:00.000Z"


@pytest.fixture
def home(tmp_path: Path) -> HomeDatabase:
    return HomeDatabase(tmp_path / "memories.db")


@pytest.fixture
async def context(home: HomeDatabase) -> AsyncIterator[Context]:
    reader = Reader(home.path, threads=2)
    yield Context(reader)
    await reader.close()


async def timeline(context: Context) -> dict[str, Any]:
    reply = await get(context, "/api/memory/timeline")
    assert reply.status == 200
    found: dict[str, Any] = json.loads(reply.body)
    return found


async def today(context: Context) -> dict[str, Any]:
    bucket: dict[str, Any] = (await timeline(context))["buckets"][0]
    return bucket


async def test_empty_timeline_has_three_spans_that_end_today(context: Context) -> None:
    rest = (
        b'"end":"2026-11-21T23:59:59.999Z","memoriesAdded":0,"trackedEvents":0,"evolved":0,"strengthened":0,'
        b'"recovered":0,"avgImportance":0,"pinned":0,"typeBreakdown":[],"sourceBreakdown":[],"topTags":[]}'
    )
    assert (await get(context, "/api/memory/timeline")).body == (
        b'{"generatedAt":"2026-11-21T04:06:40.000Z","generatedFor":"2026-11-21T00:00:00.000Z",'
        b'"rangePreset":"today-last_week-one_month","totalMemories":0,"totalHistoryEvents":0,'
        b'"invalidMemoryTimestamps":0,"invalidHistoryTimestamps":0,"buckets":['
        b'{"eraIndex":0,"rangeKey":"today","label":"Today","start":"2026-11-21T00:00:00.000Z",' + rest + b","
        b'{"eraIndex":1,"rangeKey":"last_week","label":"Last week","start":"2026-11-15T00:00:00.000Z",' + rest + b","
        b'{"eraIndex":2,"rangeKey":"one_month","label":"One month","start":"2026-10-23T00:00:00.000Z",' + rest + b"]}"
    )


@pytest.mark.parametrize(
    ("created_at", "total", "invalid", "spans"),
    [
        (TODAY, 1, 0, [1, 1, 1]),
        ("2026-11-15T00:00:00.000Z", 1, 0, [0, 1, 1]),
        ("2026-10-23T00:00:00.000Z", 1, 0, [0, 0, 1]),
        ("2026-10-22T23:59:59.999Z", 0, 0, [0, 0, 0]),
        ("2026-10-23 10:00:00", 0, 0, [0, 0, 0]),  # as text before the T of the same day
        ("2026-11-21T23:59:59.9999Z", 1, 0, [1, 1, 1]),
        ("2026-11-22T00:00:00.000Z", 1, 0, [0, 0, 0]),
        ("2099-01-01T00:00:00.000Z", 1, 0, [0, 0, 0]),
        ("garbage", 0, 1, [0, 0, 0]),
        (b"2026-11-21", 0, 1, [0, 0, 0]),
        (b"\x05", 1, 0, [0, 0, 0]),  # the text of these bytes is "5", which is a date in 2001
    ],
)
async def test_a_memory_counts_in_each_span_that_holds_its_date(
    home: HomeDatabase, context: Context, created_at: Any, total: int, invalid: int, spans: list[int]
) -> None:
    home.memory("m", created_at=created_at)
    found = await timeline(context)
    assert (found["totalMemories"], found["invalidMemoryTimestamps"]) == (total, invalid)
    assert [bucket["memoriesAdded"] for bucket in found["buckets"]] == spans


@pytest.mark.parametrize("is_deleted", [1, None, 2])
async def test_only_what_is_surely_not_forgotten_counts(home: HomeDatabase, context: Context, is_deleted: Any) -> None:
    home.memory("m", created_at=TODAY, is_deleted=is_deleted)
    home.event("m", created_at=TODAY)
    home.event("nobody", created_at=TODAY)
    found = await timeline(context)
    assert (found["totalMemories"], found["totalHistoryEvents"]) == (0, 0)


@pytest.mark.parametrize(
    ("event", "reason", "counts"),
    [
        ("updated", None, (1, 1, 1, 0)),
        ("merged", "nope", (1, 1, 1, 0)),
        ("recovered", None, (1, 1, 0, 1)),
        ("recovered", "nope", (1, 1, 0, 1)),
        ("recovered", "It was REINFORCED", (1, 1, 1, 1)),
        ("recovered", "\u017ftrength", (1, 1, 0, 1)),
        ("recovered", b"strength", (1, 1, 0, 1)),
        ("deleted", "strength", (1, 0, 0, 0)),
        ("UPDATED", None, (1, 0, 0, 0)),
        (b"updated", None, (1, 0, 0, 0)),
    ],
)
async def test_events_are_counted_by_kind(
    home: HomeDatabase, context: Context, event: Any, reason: Any, counts: tuple[int, ...]
) -> None:
    home.memory("old", created_at="2020-01-01T00:00:00.000Z")
    home.event("old", event=event, reason=reason, created_at=TODAY)
    bucket = await today(context)
    assert tuple(bucket[key] for key in ("trackedEvents", "evolved", "strengthened", "recovered")) == counts


async def test_an_event_without_a_date_is_counted_apart(home: HomeDatabase, context: Context) -> None:
    home.memory("m")
    home.event("m", created_at="garbage")
    found = await timeline(context)
    assert (found["totalHistoryEvents"], found["invalidHistoryTimestamps"]) == (0, 1)


@pytest.mark.parametrize(
    ("stored", "average"),
    [
        ([0.0625], 0.063), ([2, 0], 1), ([-1], 0), ([1e-9, 5e-324, 1], 0.333), (["0.9"], 0.9), (["high", b"x"], 0),
        ([float("inf")], 0), ([0.5, None, "high"], 0.5), ([1e308, 1e308], 1),
    ],
)  # fmt: skip
async def test_importance_is_averaged_over_finite_numbers(
    home: HomeDatabase, context: Context, stored: list[Any], average: float
) -> None:
    for number, importance in enumerate(stored):
        home.memory(f"m{number}", created_at=TODAY, importance=importance)
    assert (await today(context))["avgImportance"] == average


@pytest.mark.parametrize(("pinned", "count"), [(1, 1), ("1", 1), (1.0, 1), (2, 0), ("x", 0), (b"1", 0), (None, 0)])
async def test_pinned_is_exactly_one(home: HomeDatabase, context: Context, pinned: Any, count: int) -> None:
    home.memory("m", created_at=TODAY, pinned=pinned)
    assert (await today(context))["pinned"] == count


async def test_breakdowns_are_the_five_most_frequent_then_in_the_order_of_languages(
    home: HomeDatabase, context: Context
) -> None:
    tags = ("z,Z,é,a", '["z", " z ", "z"]', "b,B,_,-x,日本", "")
    for number, tag in enumerate(tags):
        home.memory(f"m{number}", created_at=TODAY, tags=tag, type=(" fact ", "fact", "", "rule")[number], who=None)
    bucket = await today(context)
    assert [(tag["key"], tag["count"]) for tag in bucket["topTags"]] == [
        ("z", 4), ("_", 1), ("-x", 1), ("a", 1), ("b", 1),
    ]  # fmt: skip
    assert bucket["typeBreakdown"] == [{"key": "fact", "count": 2}, {"key": "rule", "count": 1},
                                       {"key": "unknown", "count": 1}]  # fmt: skip
    assert bucket["sourceBreakdown"] == [{"key": "unknown", "count": 4}]


FAILED = (
    b'{"error":"Failed to build memory timeline","generatedAt":"2026-11-21T04:06:40.000Z",'
    b'"generatedFor":"2026-11-21T04:06:40.000Z","rangePreset":"today-last_week-one_month","totalMemories":0,'
    b'"totalHistoryEvents":0,"invalidMemoryTimestamps":0,"invalidHistoryTimestamps":0,"buckets":[]}'
)


@pytest.mark.parametrize("column", ["tags", "who", "type"])
@pytest.mark.parametrize("stored", [b"text", b""])
async def test_bytes_where_texts_are_counted_are_legacys_error(
    home: HomeDatabase, context: Context, column: str, stored: bytes
) -> None:
    home.memory("m", **{"created_at": TODAY, column: stored})
    reply = await get(context, "/api/memory/timeline")
    assert (reply.status, reply.body) == (500, FAILED)


async def test_bytes_outside_every_span_do_no_harm(home: HomeDatabase, context: Context) -> None:
    home.memory("m", created_at="2099-01-01T00:00:00.000Z", who=b"x", tags=b"x")
    assert (await timeline(context))["totalMemories"] == 1


async def test_no_database_is_legacys_error(tmp_path: Path) -> None:
    context = Context(Reader(tmp_path / "missing.db"))
    heard = Heard(context.daemon_log)
    reply = await get(context, "/api/memory/timeline")
    assert (reply.status, reply.body) == (500, FAILED)
    assert heard.told == [("error", "memory", "Error building memory timeline")]
