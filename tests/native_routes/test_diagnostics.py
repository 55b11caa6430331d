"""The report, its domains, and who may be trusted with what. Scores and bodies were answered by Signet 0.58.1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw.ext
import pytest

from native_routes.diagnostics import GROUP, queries
from native_routes.diagnostics.predictor import STATE_PATH
from native_routes.javascript.dates import iso_text
from native_routes.query import Query
from tests.native_routes.asking import ask, value
from tests.native_routes.diagnostics_context import Context, context_for
from tests.native_routes.home_database import HomeDatabase

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
REPORT = b"/api/diagnostics"
OFF = ("predictor:", "  enabled: false")
ON = ("predictor:", "  enabled: true")


@pytest.fixture
def home(tmp_path: Path) -> HomeDatabase:
    (tmp_path / "memory").mkdir()
    return HomeDatabase(tmp_path / "memory" / "memories.db")


@pytest.fixture
async def context(home: HomeDatabase, tmp_path: Path) -> AsyncIterator[Context]:
    async with context_for(tmp_path) as made:
        made.configure(*OFF)
        yield made


async def domain(context: Context, name: str) -> dict[str, Any]:
    reply = await ask(context, "GET", f"/api/diagnostics/{name}")
    assert reply.status == 200
    shown: dict[str, Any] = value(reply)
    return shown


def ago(context: Context, ms: int) -> str:
    return iso_text(context.clock.ms - ms)


async def test_report_of_an_empty_home_is_byte_for_byte_legacys(context: Context) -> None:
    reply = await ask(context, "GET", REPORT)
    assert (reply.status, reply.headers) == (200, ((b"content-type", b"application/json"),))
    assert reply.body == (
        b'{"timestamp":"2026-11-21T04:06:40.000Z","composite":{"score":1,"status":"healthy"},'
        b'"queue":{"score":1,"status":"healthy","depth":0,"oldestAgeSec":0,"deadRate":0,"leaseAnomalies":0},'
        b'"storage":{"score":1,"status":"healthy","totalMemories":0,"deletedTombstones":0,"dbSizeBytes":0},'
        b'"index":{"score":1,"status":"healthy","ftsRowCount":0,"memoriesRowCount":0,"ftsMismatch":false,'
        b'"embeddingCoverage":1},'
        b'"provider":{"score":1,"status":"healthy","recentTotal":0,"recentSuccesses":0,"recentFailures":0,'
        b'"recentTimeouts":0,"availabilityRate":1},'
        b'"mutation":{"score":1,"status":"healthy","recentRecovers":0,"recentDeletes":0},'
        b'"duplicate":{"score":1,"status":"healthy","exactDuplicates":0,"exactClusters":0,"totalActive":0,'
        b'"duplicateRatio":0},'
        b'"connector":{"score":1,"status":"healthy","connectorCount":0,"syncingCount":0,"errorCount":0,'
        b'"oldestErrorAge":0},'
        b'"update":{"score":1,"status":"healthy","autoInstallEnabled":false,"lastCheckSucceeded":true,'
        b'"lastCheckAgeHours":0,"pendingRestart":false,"lastError":null},'
        b'"predictor":{"score":0,"status":"disabled","sidecarAlive":false,"modelVersion":0,"trainingSessions":0,'
        b'"successRate":0,"alpha":1,"coldStartExited":false,"lastTrainedAt":null,"crashCount":0,'
        b'"crashDisabled":false}}'
    )


async def test_queue_loses_for_depth_deaths_age_and_lost_leases(home: HomeDatabase, context: Context) -> None:
    for number in range(51):
        home.job(f"p{number}", status="pending", created_at=ago(context, 6 * MINUTE_MS), updated_at="x")
    home.job("d", status="dead", updated_at=ago(context, MINUTE_MS))
    home.job("long dead", status="dead", updated_at=ago(context, 2 * HOUR_MS))
    home.job("c", status="completed", updated_at=ago(context, MINUTE_MS))
    home.job("l", status="leased", created_at=ago(context, 11 * MINUTE_MS))
    assert await domain(context, "queue") == {
        "score": 0, "status": "unhealthy", "depth": 51, "oldestAgeSec": 360, "deadRate": 0.5, "leaseAnomalies": 1,
    }  # fmt: skip


async def test_queue_keeps_its_score_at_each_limit(home: HomeDatabase, context: Context) -> None:
    for number in range(50):
        home.job(f"p{number}", status="pending", created_at=ago(context, 5 * MINUTE_MS), updated_at="0")
    for number in range(99):
        home.job(f"c{number}", status="completed", updated_at=ago(context, HOUR_MS))
    home.job("d", status="dead", updated_at=ago(context, HOUR_MS))
    home.job("l", status="leased", created_at=ago(context, 10 * MINUTE_MS))
    shown = await domain(context, "queue")
    assert (shown["score"], shown["depth"], shown["oldestAgeSec"], shown["deadRate"]) == (1, 50, 300, 0.01)


@pytest.mark.parametrize(
    ("oldest", "age"), [("", 0), ("2999-01-01", 0), ("%", None), (b"", None), ("2026-11-21T04:06:00Z", 40)]
)
async def test_age_of_the_oldest_job_is_null_for_no_date(
    home: HomeDatabase, context: Context, oldest: Any, age: float | None
) -> None:
    home.job("p", status="pending", created_at=oldest)
    assert (await domain(context, "queue"))["oldestAgeSec"] == age


async def test_memories_are_counted_for_storage_index_and_duplicates(home: HomeDatabase, context: Context) -> None:
    home.execute("DROP INDEX idx_memories_content_hash_unique")
    for number in range(6):
        home.memory(f"a{number}", embedding_model="m" if number < 4 else None, content_hash=f"h{number // 2}")
    home.memory("pinned", pinned=1, content_hash="h0")
    for number in range(4):
        home.memory(f"d{number}", is_deleted=1, content_hash="h0")
    assert await domain(context, "storage") == {
        "score": 0.7, "status": "degraded", "totalMemories": 11, "deletedTombstones": 4, "dbSizeBytes": 0,
    }  # fmt: skip
    assert await domain(context, "index") == {
        "score": 0.2, "status": "unhealthy", "ftsRowCount": 11, "memoriesRowCount": 7, "ftsMismatch": True,
        "embeddingCoverage": 4 / 7,
    }  # fmt: skip
    assert await domain(context, "duplicate") == {
        "score": 0.5, "status": "degraded", "exactDuplicates": 3, "exactClusters": 3, "totalActive": 7,
        "duplicateRatio": 3 / 7,
    }  # fmt: skip


async def test_six_recoveries_of_seven_days_are_too_many(home: HomeDatabase, context: Context) -> None:
    home.memory("m")
    for _ in range(6):
        home.event("m", event="recovered", created_at=ago(context, 7 * DAY_MS))
    home.event("m", event="recovered", created_at=ago(context, 7 * DAY_MS + 1))
    home.event("m", event="deleted", created_at=ago(context, 0))
    shown = await domain(context, "mutation")
    assert shown == {"score": 0.7, "status": "degraded", "recentRecovers": 6, "recentDeletes": 1}


async def test_a_connector_whose_error_is_a_day_old_costs_more(home: HomeDatabase, context: Context) -> None:
    for id, status, error, age in (("a", "error", "boom", DAY_MS + 1), ("b", "syncing", None, 9 * DAY_MS)):
        home.row("connectors", {"id": id, "provider": "p", "config_json": "{}", "status": status, "last_error": error,
                                "created_at": "x", "updated_at": ago(context, age)})  # fmt: skip
    assert await domain(context, "connector") == {
        "score": 0.49999999999999994, "status": "unhealthy", "connectorCount": 2, "syncingCount": 1, "errorCount": 1,
        "oldestErrorAge": DAY_MS + 1,
    }  # fmt: skip


async def test_a_home_without_the_table_of_connectors_has_none(home: HomeDatabase, context: Context) -> None:
    home.execute("DROP TABLE connectors")
    assert (await domain(context, "connector"))["score"] == 1


async def test_composite_is_added_up_in_legacys_order(home: HomeDatabase, context: Context) -> None:
    home.memory("m")
    assert await domain(context, "composite") == {"score": 0.955, "status": "healthy"}
    context.configure(*ON)
    context.clock.ms += 2000
    assert await domain(context, "composite") == {"score": 0.90725, "status": "healthy"}


async def test_report_is_kept_for_two_seconds(home: HomeDatabase, context: Context) -> None:
    assert (await domain(context, "storage"))["totalMemories"] == 0
    home.memory("m")
    context.clock.ms += 1999
    assert (await domain(context, "storage"))["totalMemories"] == 0
    context.clock.ms += 1
    assert (await domain(context, "storage"))["totalMemories"] == 1


async def test_requests_that_come_together_share_one_report(context: Context) -> None:
    context.silent = asyncio.Event()
    asking = [asyncio.ensure_future(ask(context, "GET", REPORT)) for _ in range(5)]
    await context.asked.wait()
    asking[0].cancel()
    context.silent.set()
    replies = await asyncio.gather(*asking[1:])
    assert {reply.status for reply in replies} == {200}
    assert context.borrowed == [REPORT]


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("timestamp", 400, b'{"error":"Unknown domain: timestamp"}'), ("QUEUE", 400, None),
        ("a%2Fb", 400, b'{"error":"Unknown domain: a/b"}'), ("%zz", 400, b'{"error":"Unknown domain: %zz"}'),
        ("x%00y", 400, b'{"error":"Unknown domain: x\\u0000y"}'), ("%71ueue", 200, None), ("__proto__", 200, b"{}"),
        ("constructor", 200, b""), ("toString", 200, b""), ("__defineSetter__", 200, b""), ("prototype", 400, None),
    ],
)  # fmt: skip
async def test_names_that_are_no_domain(context: Context, name: str, status: int, body: bytes | None) -> None:
    reply = await ask(context, "GET", f"/api/diagnostics/{name}")
    assert reply.status == status
    assert reply.headers == ((b"content-type", b"application/json"),)
    assert body is None or reply.body == body


async def test_what_cannot_be_counted_is_a_failure_of_every_domain(home: HomeDatabase, context: Context) -> None:
    for id in ("a", "b"):
        home.memory(id, is_deleted=2**63 - 1)
    for target in (REPORT, b"/api/diagnostics/update", b"/api/diagnostics/nothing", b"/api/diagnostics/toString"):
        reply = await ask(context, "GET", target)
        assert (reply.status, reply.body) == (500, b"Internal Server Error")
    home.execute("DELETE FROM memories")
    assert (await ask(context, "GET", REPORT)).status == 200, "a failure is not kept"


async def test_update_is_as_legacy_told_it(context: Context) -> None:
    told = {"score": 0.6, "status": "degraded", "autoInstallEnabled": True, "lastError": "no network"}
    context.told[REPORT] = {"update": told, "queue": {"score": 0}}
    report = value(await ask(context, "GET", REPORT))
    assert report["update"] == told
    assert report["queue"]["score"] == 1, "rows are counted here"
    assert report["composite"]["score"] == pytest.approx(1 - 0.4 * 0.11)


@pytest.mark.parametrize("told", [{}, {"update": 5}, {"update": {"score": "x"}}, {"update": None, "predictor": []}])
async def test_update_of_a_silent_legacy_is_that_of_a_daemon_just_started(
    context: Context, told: dict[str, Any]
) -> None:
    (context.home_path / "agent.yaml").write_text("updates:\n  auto_install: true\n")
    context.told[REPORT] = told
    assert await domain(context, "update") == {
        "score": 1, "status": "healthy", "autoInstallEnabled": True, "lastCheckSucceeded": True,
        "lastCheckAgeHours": 0, "pendingRestart": False, "lastError": None,
    }  # fmt: skip


def leave_state(context: Context, text: str) -> None:
    path = context.home_path / STATE_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def tell_sidecar(context: Context, *, crashes: int = 0, disabled: bool = False, score_ms: float = 0) -> None:
    context.told[REPORT] = {"predictor": {"sidecarAlive": True, "crashCount": crashes, "crashDisabled": disabled}}
    context.told[b"/api/analytics/latency"] = {"predictor_score": {"p50": score_ms}}


async def test_predictor_without_a_process_is_unhealthy_and_shows_what_it_left(
    home: HomeDatabase, context: Context
) -> None:
    context.configure(*ON)
    leave_state(context, '{"successRate":1.5,"alpha":0.25,"coldStartExited":true,"lastTrainingAt":"2026-01-01"}')
    for id, agent, version in (("1", "default", 3), ("2", "default", 12), ("3", "other", 99)):
        home.row("predictor_training_log", {"id": id, "agent_id": agent, "model_version": version, "loss": 0,
                                            "sample_count": 1, "duration_ms": 1})  # fmt: skip
    assert await domain(context, "predictor") == {
        "score": 0, "status": "unhealthy", "sidecarAlive": False, "modelVersion": 12, "trainingSessions": 2,
        "successRate": 1, "alpha": 0.25, "coldStartExited": True, "lastTrainedAt": "2026-01-01", "crashCount": 0,
        "crashDisabled": False,
    }  # fmt: skip
    assert context.borrowed == [REPORT], "how fast it scores is asked only while it runs"


@pytest.mark.parametrize("text", ["", "null", "7", "[1]", '{"alpha":', '\ufeff{"alpha":0.5}', '{"alpha":"0.5"}'])
async def test_a_state_that_cannot_be_used_counts_as_none(context: Context, text: str) -> None:
    context.configure(*ON)
    leave_state(context, text)
    shown = await domain(context, "predictor")
    assert (shown["successRate"], shown["alpha"], shown["coldStartExited"]) == (0.5, 1, False)


@pytest.mark.parametrize(
    ("rate", "exited", "sidecar", "score", "status"),
    [
        (0.5, False, {}, 0.6, "cold_start"),
        (0.5, True, {}, 0.9, "healthy"),
        (0.4, True, {}, 0.7, "degraded"),
        (0.5, True, {"crashes": 1}, 0.8, "healthy"),
        (0.5, True, {"score_ms": 97}, 0.7, "degraded"),
        (0.5, True, {"score_ms": 96}, 0.9, "healthy"),
        (0.5, True, {"disabled": True}, 0, "unhealthy"),
    ],
)
async def test_score_of_a_predictor_that_runs(
    context: Context, rate: float, exited: bool, sidecar: dict[str, Any], score: float, status: str
) -> None:
    context.configure(*ON)
    leave_state(context, json.dumps({"successRate": rate, "coldStartExited": exited}))
    tell_sidecar(context, **sidecar)
    shown = await domain(context, "predictor")
    assert (shown["score"], shown["status"]) == (pytest.approx(score), status)


@pytest.mark.parametrize(
    ("window", "won", "score"), [("5", 1, 0.8), ("5", 2, 0.9), ("6", 1, 0.9), ("2.5", 0, 0.9), ("0", 0, 0.8)]
)
async def test_a_predictor_that_mostly_loses_has_drifted(
    home: HomeDatabase, context: Context, window: str, won: int, score: float
) -> None:
    context.configure(*ON, f"  driftResetWindow: {window}")
    leave_state(context, '{"coldStartExited":true}')
    tell_sidecar(context)
    for number in range(5):
        home.row("predictor_comparisons", {"id": f"c{number}", "session_key": "s", "predictor_ndcg": 0,
                                           "baseline_ndcg": 0, "predictor_won": int(number < won), "margin": 0,
                                           "alpha": 1, "candidate_count": 1})  # fmt: skip
    assert (await domain(context, "predictor"))["score"] == pytest.approx(score)


async def test_predictor_follows_the_configuration_as_it_is_now(context: Context) -> None:
    assert (await domain(context, "predictor"))["status"] == "disabled"
    context.configure(*ON)
    context.clock.ms += 2000
    assert (await domain(context, "predictor"))["status"] == "unhealthy"


def test_declared_tables_are_those_that_the_statements_read(home: HomeDatabase) -> None:
    read = set()
    for query in vars(queries).values():
        if isinstance(query, Query):
            info = apsw.ext.query_info(home.connection, query.sql, actions=True)
            assert info.is_readonly
            assert "'now'" not in query.sql
            read |= {action.table_name for action in info.actions or () if action.table_name}
    inside = {name for name in read if name.startswith("memories_fts_")}  # FTS5's own
    assert read - inside == GROUP.reads
    assert GROUP.writes == frozenset()
