"""Usage, latencies, errors, safety and continuity. Bodies were answered by Signet 0.58.1 for the same rows."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw.ext
import pytest

from native_routes.analytics import GROUP, queries, usage
from native_routes.analytics.latency import SAMPLES, Latencies
from native_routes.analytics.usage import Usage
from native_routes.diagnostics import COUNTED
from native_routes.query import Query
from tests.native_routes.asking import ask, value
from tests.native_routes.diagnostics_context import Context, context_for
from tests.native_routes.home_database import HomeDatabase

ERRORS = b"/api/analytics/errors?limit=0"
CONTINUITY = "/api/analytics/continuity"
NOTHING = {"p50": 0, "p95": 0, "p99": 0, "count": 0, "mean": 0}


@pytest.fixture
def home(tmp_path: Path) -> HomeDatabase:
    (tmp_path / "memory").mkdir()
    return HomeDatabase(tmp_path / "memory" / "memories.db")


@pytest.fixture
async def context(home: HomeDatabase, tmp_path: Path) -> AsyncIterator[Context]:
    async with context_for(tmp_path) as made:
        made.configure("predictor:", "  enabled: false")
        yield made


def record(counted: Usage, request: str, status: int = 200, seconds: float = 0, actor: bytes | None = None) -> None:
    method, _, path = request.partition(" ")
    counted.add(counted.endpoint(method, path), status, seconds, actor)


def score(home: HomeDatabase, id: str, score: Any, created_at: str = "2026-01-01", project: Any = None) -> None:
    home.row("session_scores", {"id": id, "session_key": "s", "project": project, "score": score,
                                "created_at": created_at})  # fmt: skip


async def test_usage_counts_by_path_and_actor(context: Context) -> None:
    counted = context.counters.usage
    record(counted, "GET /health", seconds=0.0119)
    record(counted, "POST /api/memory/recall", 400, actor=b"ann")
    record(counted, "GET /health", 500, seconds=0.002)
    record(counted, "PATCH /api/memory/m", actor=b"ann")
    record(counted, "POST /api/memory/forget", actor=b"7")
    record(counted, "GET /x/\xfc", actor=b"\xfc")
    reply = await ask(context, "GET", "/api/analytics/usage")
    assert reply.body.decode() == (
        '{"endpoints":{"GET /health":{"count":2,"errors":1,"totalLatencyMs":13},'
        '"POST /api/memory/recall":{"count":1,"errors":1,"totalLatencyMs":0},'
        '"PATCH /api/memory/m":{"count":1,"errors":0,"totalLatencyMs":0},'
        '"POST /api/memory/forget":{"count":1,"errors":0,"totalLatencyMs":0},'
        '"GET /x/ü":{"count":1,"errors":0,"totalLatencyMs":0}},'
        '"actors":{"7":{"requests":0,"remembers":0,"recalls":0,"mutations":1},'
        '"ann":{"requests":1,"remembers":0,"recalls":1,"mutations":0},'
        '"ü":{"requests":1,"remembers":0,"recalls":0,"mutations":0}},"providers":{},"connectors":{}}'
    )


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/api/memory/remember", "remember"), ("/api/hooks/remember", "remember"), ("/x/saved", "remember"),
        ("/memory/search", "recall"), ("/api/skills/search", "recall"), ("/memory/similar", "recall"),
        ("/api/memory/m/recover", "mutate"), ("/api/memory/modify", "mutate"), ("/remember/recall", "remember"),
        ("/recover/similar", "recall"), ("/api/memories", None), ("remember", None),
    ],
)  # fmt: skip
def test_a_path_is_about_the_first_operation_it_names(path: str, operation: str | None) -> None:
    counted = Usage()
    record(counted, f"GET {path}")
    assert {name: seen.snapshot()["count"] for name, seen in counted.latencies.items()} == {
        name: int(name == operation) for name in ("remember", "recall", "mutate")
    }


@pytest.mark.parametrize(("status", "counts"), [(200, [1, 1]), (400, [1, 1]), (403, [1]), (401, [1])])
def test_saving_counts_as_remembering_too_unless_it_was_refused(status: int, counts: list[int]) -> None:
    counted = Usage()
    record(counted, "POST /api/memory/save", status, actor=b"cat")
    endpoints = counted.shown()["endpoints"]
    assert [seen["count"] for seen in endpoints.values()] == counts
    assert list(endpoints)[-1] == "POST /api/memory/save", "what it asks in turn is over before"
    assert counted.latencies["remember"].snapshot()["count"] == sum(counts)
    assert counted.shown()["actors"]["cat"]["remembers"] == 1


def test_a_stream_takes_no_time() -> None:
    counted = Usage()
    endpoint = counted.endpoint("GET", "/api/logs/stream")
    endpoint.streams = True
    counted.add(endpoint, 200, 3600.0, None)
    assert counted.shown()["endpoints"]["GET /api/logs/stream"]["totalLatencyMs"] == 0


def test_keys_beyond_the_limit_are_left_out_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "KEY_CHARACTERS", 40)
    counted = Usage()
    for number in range(100):
        record(counted, f"GET /recall/{number}", actor=b"actor %d" % number)
    record(counted, "GET /recall/0")
    shown = counted.shown()
    assert shown["endpoints"]["GET /recall/0"]["count"] == 2
    assert len(shown["endpoints"]) + len(shown["actors"]) < 6
    assert counted.latencies["recall"].snapshot()["count"] == 101


def test_percentiles_are_of_the_nearest_rank() -> None:
    seen = Latencies()
    assert seen.snapshot() == NOTHING
    for ms in range(1, 21):
        seen.add(ms)
    assert seen.snapshot() == {"p50": 10, "p95": 19, "p99": 20, "count": 20, "mean": 11}


def test_the_fastest_is_forgotten_first_once_somebody_has_looked() -> None:
    seen = Latencies()
    for ms in (9, *[5] * (SAMPLES - 2), 1):
        seen.add(ms)
    assert (seen.snapshot()["p99"], seen.snapshot()["count"]) == (5, SAMPLES)
    for _ in range(SAMPLES - 1):
        seen.add(0)
    assert seen.snapshot()["mean"] == 0
    seen.add(0)  # the 9 came first, and is still there
    assert seen.snapshot() == {"p50": 0, "p95": 0, "p99": 0, "count": SAMPLES, "mean": 0}


async def test_latency_has_requests_from_here_and_workers_from_legacy(context: Context) -> None:
    told = {"p50": 1, "p95": 2, "p99": 3, "count": 4, "mean": 5}
    context.told[b"/api/analytics/latency"] = {"jobs": told, "remember": told, "predictor_train": {"p50": 1}}
    record(context.counters.usage, "POST /api/memory/remember", seconds=0.007)
    shown = value(await ask(context, "GET", "/api/analytics/latency"))
    assert list(shown) == ["remember", "recall", "mutate", "jobs", "predictor_score", "predictor_train"]
    assert shown["remember"] == {"p50": 7, "p95": 7, "p99": 7, "count": 1, "mean": 7}
    assert (shown["jobs"], shown["predictor_train"]) == (told, NOTHING)


def ring(count: int) -> list[dict[str, Any]]:
    stages = ("extraction", "embedding", "mutation")
    return [{"timestamp": f"2026-01-0{n + 1}", "stage": stages[n % 3], "code": f"C{n}"} for n in range(count)]


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("", "012345"), ("?limit=2", "45"), ("?limit=0", "012345"), ("?limit=abc", "012345"), ("?limit=-2", "2345"),
        ("?limit=-9", ""), ("?limit=99", "012345"), ("?limit=2x", "45"), ("?stage=embedding", "14"),
        ("?stage=", "012345"),
        ("?stage=none", ""), ("?since=2026-01-03", "2345"), ("?stage=extraction&since=2026-01-02&limit=5", "3"),
        ("?limit=1e9", "5"), ("?limit=-99999999999999999999999", ""), ("?since=9", ""),
    ],
)  # fmt: skip
async def test_errors_are_legacys_and_filtered_here(context: Context, query: str, codes: str) -> None:
    context.told[ERRORS] = {"errors": ring(6), "summary": {"C0": 6}}
    shown = value(await ask(context, "GET", f"/api/analytics/errors{query}"))
    assert "".join(error["code"][1:] for error in shown["errors"]) == codes
    assert shown["summary"] == {"C0": 6}
    assert context.borrowed == [ERRORS], "one question for all filters, so that one answer is kept"


@pytest.mark.parametrize("told", [None, {}, {"errors": 5, "summary": []}, {"errors": [1, None]}])
async def test_errors_of_a_silent_legacy_are_none(context: Context, told: Any) -> None:
    if told is not None:
        context.told[ERRORS] = told
    reply = await ask(context, "GET", "/api/analytics/errors")
    assert reply.body == b'{"errors":[],"summary":{}}'


async def test_memory_safety_shows_mutations_anew_and_their_last_errors(home: HomeDatabase, context: Context) -> None:
    context.told[ERRORS] = {"errors": [*ring(6), *[{"stage": "mutation", "code": "M"}] * 60], "summary": {"M": 60}}
    await ask(context, "GET", "/api/analytics/memory-safety")
    home.memory("m")
    home.event("m", event="deleted", created_at="2026-11-20")
    shown = value(await ask(context, "GET", "/api/analytics/memory-safety"))
    assert shown["mutation"] == {"score": 1, "status": "healthy", "recentRecovers": 0, "recentDeletes": 1}
    assert len(shown["recentErrors"]) == 50
    assert list(shown) == ["mutation", "recentErrors", "errorSummary"]
    for id in ("a", "b"):
        home.memory(id, is_deleted=2**63 - 1)
    reply = await ask(context, "GET", "/api/analytics/memory-safety")
    assert (reply.status, reply.body) == (500, b"Internal Server Error")


async def test_continuity_is_byte_for_byte_legacys(home: HomeDatabase, context: Context) -> None:
    home.row("session_scores", {
        "id": "c-2", "session_key": "S2", "project": "/p", "harness": "codex", "score": 0.755, "memories_recalled": 3,
        "memories_used": 3, "novel_context_count": 0, "reasoning": None, "created_at": "2025-01-02",
    })  # fmt: skip
    score(home, "c-1", 0.5, "2025-01-01")
    assert (await ask(context, "GET", CONTINUITY)).body == (
        b'{"scores":[{"id":"c-2","session_key":"S2","project":"/p","harness":"codex","score":0.755,'
        b'"memories_recalled":3,"memories_used":3,"novel_context_count":0,"reasoning":null,"created_at":"2025-01-02"},'
        b'{"id":"c-1","session_key":"s","project":null,"harness":null,"score":0.5,"memories_recalled":null,'
        b'"memories_used":null,"novel_context_count":null,"reasoning":null,"created_at":"2025-01-01"}],'
        b'"summary":{"count":2,"average":0.63,"trend":0.26,"latest":0.755}}'
    )


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", "edcba"), ("?limit=2", "ed"), ("?limit=0", ""), ("?limit=-1", "edcba"), ("?limit=2.9", "ed"),
        ("?limit=x", None), ("?limit=", None), ("?limit=99999999999999999999", None),
        ("?limit=-9223372036854775808", None), ("?project=/p", "ca"), ("?project=", "edcba"), ("?project=none", ""),
        ("?project=%2Fp&limit=1", "c"),
    ],
)  # fmt: skip
async def test_continuity_by_project_and_limit(
    home: HomeDatabase, context: Context, query: str, ids: str | None
) -> None:
    for place, id in enumerate("abcde"):
        score(home, id, 0.5, f"2025-01-0{place + 1}", "/p" if id in "ac" else None)
    reply = await ask(context, "GET", CONTINUITY + query)
    if ids is None:
        assert (reply.status, reply.body) == (500, b"Internal Server Error")
    else:
        assert "".join(one["id"] for one in value(reply)["scores"]) == ids


@pytest.mark.parametrize(
    ("scores", "average", "trend", "latest"),
    [
        ([], 0, 0, None), ([0.335], 0.34, 0, 0.335), ([-0.375, -0.125], -0.25, -0.25, -0.375),
        ([0.5, ""], 0.25, 0.5, 0.5), (["abc", 0.5], None, None, "abc"), ([b"5", 0.25], 0.13, 52.75, {"0": 53}),
        ([math.inf, 1], None, None, None), ([1e300, 1e300], 1e300, 0, 1e300), ([0.5, " 7 "], 3.75, -6.5, 0.5),
    ],
)  # fmt: skip
async def test_figures_over_scores_are_javascripts(
    home: HomeDatabase, context: Context, scores: list[Any], average: Any, trend: Any, latest: Any
) -> None:
    for place, stored in enumerate(reversed(scores)):
        score(home, f"s{place}", stored, f"2025-01-0{place + 1}")
    summary = value(await ask(context, "GET", CONTINUITY))["summary"]
    assert summary == {"count": len(scores), "average": average, "trend": trend, "latest": latest}


async def test_latest_continuity_has_one_of_each_project(home: HomeDatabase, context: Context) -> None:
    for id, project, created_at in (("a", "/p", "1"), ("b", "/p", "3"), ("c", "/q", "2"), ("d", None, "4")):
        score(home, id, 0.5, created_at, project)
    assert (await ask(context, "GET", f"{CONTINUITY}/latest")).body == (
        b'{"scores":[{"project":"/p","score":0.5,"created_at":"3"},{"project":"/q","score":0.5,"created_at":"2"}]}'
    )
    home.execute("DROP TABLE session_scores")
    assert (await ask(context, "GET", f"{CONTINUITY}/latest")).status == 500


async def test_logs_are_those_of_the_daemon(context: Context) -> None:
    context.logs_path.mkdir(parents=True)
    entry = {"timestamp": "2026-01-01T00:00:00.000Z", "level": "info", "category": "tea", "message": "m"}
    (context.logs_path / "signet-2026-01-01.log").write_text(f"{json.dumps(entry)}\n")
    assert value(await ask(context, "GET", "/api/analytics/logs?category=tea")) == {"logs": [entry], "count": 1}
    assert value(await ask(context, "GET", "/api/analytics/logs?category=coffee"))["count"] == 0


def test_declared_tables_are_those_that_the_statements_read(home: HomeDatabase) -> None:
    read = set()
    for query in vars(queries).values():
        if isinstance(query, Query):
            info = apsw.ext.query_info(home.connection, query.sql, actions=True)
            assert info.is_readonly
            read |= {action.table_name for action in info.actions or () if action.table_name}
    assert read == GROUP.reads - COUNTED
