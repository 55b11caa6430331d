"""State of the pipeline, models by provider, and what providers say of theirs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import apsw.ext
import pytest

from native_routes.pipeline import GROUP, queries
from native_routes.pipeline.discovery import anthropic_models, clean_label, ollama_models, ollama_url
from native_routes.pipeline.known_models import mark_deprecated, model
from native_routes.query import Query
from native_routes.secrets.sealing import machine_key, seal
from native_routes.secrets.store import SecretsFile
from tests.native_routes.asking import ask, value
from tests.native_routes.diagnostics_context import Context, Walk, context_for
from tests.native_routes.home_database import HomeDatabase

STATUS = b"/api/pipeline/status"
MODELS, BY_PROVIDER, REFRESH = (
    "/api/pipeline/models",
    "/api/pipeline/models/by-provider",
    "/api/pipeline/models/refresh",
)
OFF = ("modelRegistry:", "  enabled: false")
COUNTS = {"claude-code": 4, "anthropic": 4, "codex": 5, "opencode": 4, "ollama": 3}


@pytest.fixture
def home(tmp_path: Path) -> HomeDatabase:
    (tmp_path / "memory").mkdir()
    return HomeDatabase(tmp_path / "memory" / "memories.db")


@pytest.fixture
async def context(home: HomeDatabase, tmp_path: Path) -> AsyncIterator[Context]:
    async with context_for(tmp_path) as made:
        made.configure("predictor:", "  enabled: false", *OFF)
        yield made


class Provider:
    """A model provider on loopback: `answer` is sent to each GET, with `status`; it notes what it was asked."""

    def __init__(self, answer: Any, status: int = 200) -> None:
        self.body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.status = status
        self.asked: list[tuple[str, str | None]] = []  # path, key
        self.again = Event()  # set by the second question
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[Provider]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append((self.path, self.headers.get("x-api-key")))
                if len(provider.asked) > 1:
                    provider.again.set()
                self.send_response(provider.status)
                self.send_header("Content-Length", str(len(provider.body)))
                self.end_headers()
                self.wfile.write(provider.body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def extraction(provider: str, url: str) -> tuple[str, ...]:
    return ("extraction:", f"  provider: {provider}", f"  endpoint: {url}")


async def status(context: Context) -> dict[str, Any]:
    reply = await ask(context, "GET", STATUS)
    assert reply.status == 200
    shown: dict[str, Any] = value(reply)
    return shown


def ids(reply_value: Any) -> list[str]:
    return [one["id"] for one in reply_value["models"]]


async def test_status_of_a_daemon_that_nobody_hears_from(context: Context) -> None:
    shown = await status(context)
    assert list(shown) == [
        *("workers", "queues", "diagnostics", "latency", "errorSummary", "mode", "feedback", "traversal", "predictor")
    ]
    assert list(shown["workers"]) == [
        *("extraction", "summary", "document", "retention", "maintenance", "synthesis"),
        *("structuralClassify", "structuralDependency"),
    ]
    assert all(worker == {"running": False} for worker in shown["workers"].values())
    assert shown["latency"]["jobs"] == {"p50": 0, "p95": 0, "p99": 0, "count": 0, "mean": 0}
    assert shown["errorSummary"] == {}
    assert shown["feedback"] == {
        "lastRunAt": None, "feedbackAspectsUpdated": 0, "feedbackFtsConfirmations": 0, "feedbackDecayedAspects": 0,
        "feedbackPropagatedAttributes": 0,
    }  # fmt: skip
    assert shown["traversal"] == {"enabled": True, "lastRun": None}
    assert shown["predictor"] == {
        "running": False, "modelReady": False, "coldStartExited": False, "successRate": 0, "alpha": 1,
    }  # fmt: skip


async def test_status_takes_workers_times_errors_and_feedback_from_legacy(context: Context) -> None:
    figures = {"p50": 5, "p95": 9, "p99": 9, "count": 3, "mean": 6}
    feedback = {"lastRunAt": "2026-01-01", "feedbackAspectsUpdated": 1, "feedbackFtsConfirmations": 2,
                "feedbackDecayedAspects": 3, "feedbackPropagatedAttributes": 4}  # fmt: skip
    context.told[STATUS] = {
        "workers": {"extraction": {"running": True}, "unknown": {"running": True}},
        "latency": {"jobs": figures, "remember": figures, "predictor_score": {"p50": "x"}},
        "errorSummary": {"EXTRACTION_TIMEOUT": 2}, "feedback": feedback, "mode": "frozen", "queues": {"memory": {}},
    }  # fmt: skip
    shown = await status(context)
    assert [name for name, worker in shown["workers"].items() if worker["running"]] == ["extraction"]
    assert shown["latency"]["jobs"] == figures
    assert shown["latency"]["remember"]["count"] == 0, "requests are counted at the front door"
    assert shown["latency"]["predictor_score"]["count"] == 0
    assert (shown["errorSummary"], shown["feedback"]) == ({"EXTRACTION_TIMEOUT": 2}, feedback)
    assert shown["mode"] == "controlled-write"
    assert shown["queues"]["memory"]["pending"] == 0


@pytest.mark.parametrize(
    ("lines", "mode", "traversal"),
    [
        ([], "controlled-write", True), (["shadowMode: true"], "shadow", True),
        (["shadowMode: true", "mutationsFrozen: true"], "frozen", True),
        (["enabled: false", "mutationsFrozen: true"], "disabled", True), (["enabled: no"], "controlled-write", True),
        (["graphEnabled: false"], "controlled-write", False),
        (["traversal:", "  enabled: false"], "controlled-write", False),
    ],
)  # fmt: skip
async def test_mode_and_traversal_follow_the_configuration(
    context: Context, lines: list[str], mode: str, traversal: bool
) -> None:
    context.configure(*lines)
    shown = await status(context)
    assert (shown["mode"], shown["traversal"]["enabled"]) == (mode, traversal)


async def test_queues_show_every_state_that_occurs(home: HomeDatabase, context: Context) -> None:
    for number, state in enumerate(["pending", "dead", "dead", "9", "10", "odd", "__proto__", b"\x01\x02"]):
        home.job(f"j{number}", status=state)
    home.row("summary_jobs", {"id": "s", "harness": "h", "transcript": "t", "status": "processing", "created_at": "x"})
    queues = (await status(context))["queues"]
    usual = {"pending": 1, "leased": 0, "completed": 0, "failed": 0, "dead": 2}
    assert list(queues["memory"].items()) == [("9", 1), ("10", 1), *usual.items(), ("odd", 1), ("1,2", 1)]
    assert queues["summary"] == {"pending": 0, "leased": 0, "completed": 0, "failed": 0, "dead": 0, "processing": 1}


@pytest.mark.parametrize(
    ("told_at", "ours_at", "shown"),
    [
        (None, 1_000_000_000_000, "ours"), ("2001-09-09T01:46:40.000Z", 999_999_999_999, "legacy's"),
        ("2001-09-09T01:46:40.000Z", 1_000_000_000_001, "ours"), ("2001-09-09T01:46:40.000Z", None, "legacy's"),
    ],
)  # fmt: skip
async def test_the_later_walk_is_shown(context: Context, told_at: str | None, ours_at: int | None, shown: str) -> None:
    context.told[STATUS] = {"traversal": {"lastRun": told_at and {"at": told_at, "whose": "legacy's"}}}
    context.last_walk = None if ours_at is None else Walk(ours_at, lambda connection: {"whose": "ours"})
    assert (await status(context))["traversal"]["lastRun"]["whose"] == shown


async def test_status_fails_where_the_database_cannot_be_read(home: HomeDatabase, context: Context) -> None:
    home.execute("DROP TABLE summary_jobs")
    reply = await ask(context, "GET", STATUS)
    assert (reply.status, reply.body) == (500, b"Internal Server Error")


async def test_models_of_a_provider_leave_out_the_deprecated_unless_asked_for(context: Context) -> None:
    reply = await ask(context, "GET", f"{MODELS}?provider=anthropic")
    assert reply.body == (
        b'{"models":[{"id":"claude-opus-4-6","provider":"anthropic","label":"Claude Opus 4.6","tier":"high",'
        b'"deprecated":false},{"id":"claude-sonnet-4-6","provider":"anthropic","label":"Claude Sonnet 4.6",'
        b'"tier":"mid","deprecated":false},{"id":"claude-haiku-4-5-20251001","provider":"anthropic",'
        b'"label":"Claude Haiku 4.5","tier":"low","deprecated":false}],'
        b'"registry":{"initialized":false,"lastRefreshAt":0,"modelCounts":{}}}'
    )
    all_of_them = value(await ask(context, "GET", f"{MODELS}?provider=anthropic&deprecated=true"))
    assert [one["id"] for one in all_of_them["models"] if one["deprecated"]] == ["claude-3-5-haiku-20241022"]


@pytest.mark.parametrize(
    ("query", "count"),
    [("", 18), ("?provider=", 18), ("?deprecated=true", 20), ("?deprecated=TRUE", 18), ("?provider=CODEX", 0),
     ("?provider=codex&provider=ollama", 5), ("?provider=ollama", 3), ("?provider=nobody&deprecated=true", 0)],
)  # fmt: skip
async def test_models_are_filtered_by_provider(context: Context, query: str, count: int) -> None:
    assert len(value(await ask(context, "GET", MODELS + query))["models"]) == count


@pytest.mark.parametrize("name", ["constructor", "__proto__", "toString", "__lookupGetter__"])
async def test_names_of_an_objects_methods_fail_where_the_registry_is_off(context: Context, name: str) -> None:
    reply = await ask(context, "GET", f"{MODELS}?provider={name}")
    assert (reply.status, reply.body) == (500, b"Internal Server Error")


async def test_models_by_provider_come_in_legacys_order(context: Context) -> None:
    shown = value(await ask(context, "GET", BY_PROVIDER))
    assert {name: len(models) for name, models in shown.items()} == COUNTS | {"claude-code": 3, "anthropic": 3}
    assert list(shown) == list(COUNTS)


async def test_refresh_is_allowed_once_a_minute(context: Context) -> None:
    first = await ask(context, "POST", REFRESH, body=b"{")
    assert (first.status, list(value(first))) == (200, ["models", "registry"])
    context.clock.ms += 59_999
    second = await ask(context, "POST", REFRESH)
    assert (second.status, value(second)) == (429, {**value(first), "throttled": True})
    context.clock.ms += 1
    assert (await ask(context, "POST", REFRESH)).status == 200


async def test_registry_adds_what_ollama_has(context: Context) -> None:
    found = {"models": [{"name": "llama3", "details": {"parameter_size": "8B"}}, {"name": "glm-4.8-flash"}]}
    with Provider(found).running() as ollama:
        context.configure(*extraction("ollama", ollama.url))
        shown = value(await ask(context, "GET", f"{MODELS}?provider=ollama&deprecated=true"))
    assert [(one["id"], one["label"], one["deprecated"]) for one in shown["models"]] == [
        ("qwen3:4b", "Qwen3 4B", False), ("glm-4.7-flash", "GLM 4.7 Flash", True), ("llama3", "llama3 (8B)", False),
        ("glm-4.8-flash", "glm-4.8-flash", False),
    ]  # fmt: skip
    assert shown["registry"] == {
        "initialized": True, "lastRefreshAt": context.clock.ms, "modelCounts": COUNTS | {"ollama": 4},
    }  # fmt: skip
    assert ollama.asked == [("/api/tags", None)]


async def test_names_of_an_objects_methods_are_no_providers_where_the_registry_is_on(context: Context) -> None:
    context.configure(*extraction("codex", "http://127.0.0.1:1"))
    context.environment["PATH"] = "/nowhere"
    assert ids(value(await ask(context, "GET", f"{MODELS}?provider=constructor"))) == []


async def test_refresh_asks_whom_the_configuration_names_now(context: Context) -> None:
    with Provider({"models": [{"name": "mine"}]}).running() as ollama:
        context.configure(*extraction("opencode", ollama.url))
        assert "mine" not in ids(value(await ask(context, "GET", MODELS)))
        assert ollama.asked == []
        context.configure(*extraction("ollama", f"{ollama.url}/"), *OFF)
        assert (await ask(context, "POST", REFRESH)).status == 200
        assert "mine" in ids(value(await ask(context, "GET", MODELS)))


async def test_lists_older_than_the_interval_are_asked_for_anew(context: Context) -> None:
    with Provider({"models": [{"name": "mine"}]}).running() as ollama:
        context.configure(*extraction("ollama", ollama.url))
        await ask(context, "GET", MODELS)
        context.clock.ms += 3_599_999
        await ask(context, "GET", MODELS)
        assert len(ollama.asked) == 1
        context.clock.ms += 1
        await ask(context, "GET", MODELS)
        assert await asyncio.to_thread(ollama.again.wait, 5)


async def test_refresh_fails_as_legacys_at_a_model_without_a_name(context: Context) -> None:
    with Provider({"models": [{"size": 1}]}).running() as ollama:
        context.configure(*extraction("ollama", ollama.url))
        reply = await ask(context, "POST", REFRESH)
        assert (reply.status, reply.body) == (500, b"Internal Server Error")
        assert (await ask(context, "GET", MODELS)).status == 200


@pytest.mark.parametrize(
    ("answer", "code"), [(b"no JSON", 200), ([1], 200), ({"models": 5}, 200), ({"models": [None]}, 200), (b"", 500)]
)
async def test_an_ollama_that_says_nothing_usable_has_no_models(answer: Any, code: int) -> None:
    with Provider(answer, code).running() as ollama:
        assert await ollama_models(ollama.url) == []


@pytest.mark.parametrize(
    ("size", "label"),
    [("7B", "m (7B)"), (7, "m (7)"), (True, "m (true)"), ([1, None, "b"], "m (1,,b)"), ({}, "m ([object Object])"),
     (0, "m"), ("", "m"), (None, "m")],
)  # fmt: skip
async def test_a_models_size_is_shown_as_its_text(size: Any, label: str) -> None:
    with Provider({"models": [{"name": "m", "details": {"parameter_size": size}}]}).running() as ollama:
        assert [one["label"] for one in await ollama_models(ollama.url)] == [label]


async def test_an_ollamas_address_may_lack_its_scheme() -> None:
    with Provider({"models": [{"name": "mine"}]}).running() as ollama:
        port = ollama.url.rpartition(":")[2]
        assert [one["id"] for one in await ollama_models(f"localhost:{port}")] == ["mine"]


async def test_an_ollama_that_is_not_there_has_no_models() -> None:
    assert await ollama_models("http://127.0.0.1:1") == []
    assert await ollama_models("no address") == []


async def test_anthropic_is_asked_with_the_key_and_its_names_are_tidied() -> None:
    found = {"data": [{"id": "claude-opus-4-7-20260101", "display_name": "Claude Opus 4.7"}, {"id": "gpt-5"},
                      {"id": "claude-opus-4-6"}, {"id": "claude-sonnet-4-6-20251001"}]}  # fmt: skip
    with Provider(found).running() as anthropic:
        models = await anthropic_models("key", anthropic.url)
    assert [(one["id"], one["label"], one["tier"], one["deprecated"]) for one in models] == [
        ("claude-opus-4-7-20260101", "Claude Opus 4.7", "high", False),
        ("claude-opus-4-6", "Claude Opus 4.6", "high", True),
        ("claude-sonnet-4-6-20251001", "Claude Sonnet 4.6", "mid", False),
    ]
    assert anthropic.asked == [("/v1/models", "key")]


@pytest.mark.parametrize("answer", [{"data": []}, {"data": [{"id": 5}]}, {}, [], b"x", {"data": [{"id": "gpt-5"}]}])
async def test_an_anthropic_that_says_nothing_usable_has_the_known_models(answer: Any) -> None:
    with Provider(answer).running() as anthropic:
        assert len(await anthropic_models("key", anthropic.url)) == 4


async def test_anthropic_is_not_asked_without_a_key() -> None:
    with Provider({"data": []}).running() as anthropic:
        await anthropic_models(None, anthropic.url)
        assert anthropic.asked == []


async def test_a_sealed_key_counts_where_the_environment_has_none(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str | None] = []

    async def note(key: str | None) -> list[Any]:
        keys.append(key)
        return [model("claude-x", "anthropic", "X")]

    # The provider's address is fixed, and no test may go there.
    monkeypatch.setattr("native_routes.pipeline.registry.anthropic_models", note)
    (context.home_path / ".secrets").mkdir()
    sealed = seal("sealed-key", machine_key(context.environment))
    SecretsFile(context.home_path / ".secrets" / "secrets.enc").put("ANTHROPIC_API_KEY", sealed, "now")
    context.configure(*extraction("opencode", "http://127.0.0.1:1"))
    await ask(context, "GET", MODELS)
    context.environment["ANTHROPIC_API_KEY"] = "from the environment"
    await ask(context, "POST", REFRESH)
    assert keys == ["sealed-key", "from the environment"]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (None, "http://127.0.0.1:11434"), ("http://localhost:5/", "http://127.0.0.1:5"),
        ("http://localhost", "http://127.0.0.1"), ("https://me:pw@localhost:7/a/", "https://me:pw@127.0.0.1:7/a"),
        ("http://host.example:1/x", "http://host.example:1/x"), ("http://[::1", "http://[::1"),
    ],
)  # fmt: skip
def test_ollama_is_asked_at_its_endpoint(endpoint: str | None, url: str) -> None:
    assert ollama_url({} if endpoint is None else {"endpoint": endpoint}) == url


@pytest.mark.parametrize(
    ("raw", "label"),
    [("claude-opus-4-6-20251001", "Claude Opus 4.6"), ("Claude Opus 4.6", "Claude Opus 4.6"), ("New 20251001", "New"),
     ("claude-3-5-haiku", "Claude 3.5 Haiku"), ("claude-next", "Claude Next")],
)  # fmt: skip
def test_labels_are_made_of_ids(raw: str, label: str) -> None:
    assert clean_label(raw) == label


def test_a_model_is_deprecated_by_a_higher_version_of_its_family() -> None:
    given = [model(id, "p", id) for id in ("a-4-12", "a-4-6", "b-9-9", "a_5", "gpt-5.3-codex", "gpt-5.4", "gpt-5.4-x")]
    assert [one["id"] for one in mark_deprecated(given) if one["deprecated"]] == ["a-4-6"]


def test_declared_tables_hold_those_that_the_statements_read(home: HomeDatabase) -> None:
    for query in vars(queries).values():
        if isinstance(query, Query):
            info = apsw.ext.query_info(home.connection, query.sql, actions=True)
            assert info.is_readonly
            assert {action.table_name for action in info.actions or () if action.table_name} <= GROUP.reads
    assert GROUP.writes == frozenset()
