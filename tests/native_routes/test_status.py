"""Status, flags, who is calling, greeting. Values were answered by Signet 0.58.1 for the same home and settings."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from native_routes.agent_yaml import AuthPolicy
from native_routes.declaration import Claims
from native_routes.startup_config import read_at_start
from tests.native_routes.asking import ask, value
from tests.native_routes.home_database import HomeDatabase
from tests.native_routes.status_context import Context, context_for

STATUS, GREETING = b"/api/status", b"/api/home/greeting"
QUIET = "embedding:\n  provider: none\n"
HOUR_MS = 3_600_000


@pytest.fixture
def home(tmp_path: Path) -> HomeDatabase:
    (tmp_path / "memory").mkdir()
    return HomeDatabase(tmp_path / "memory" / "memories.db")


@pytest.fixture
async def context(home: HomeDatabase, tmp_path: Path) -> AsyncIterator[Context]:
    async with context_for(tmp_path) as made:
        made.configure(QUIET)
        yield made


async def status(context: Context) -> dict[str, Any]:
    reply = await ask(context, "GET", "/api/status")
    assert (reply.status, reply.headers) == (200, ((b"content-type", b"application/json"),))
    shown: dict[str, Any] = value(reply)
    return shown


async def test_status_shows_this_process_and_every_key_in_legacys_order(context: Context) -> None:
    shown = await status(context)
    assert list(shown) == [
        *("status", "version", "pid", "uptime", "startedAt", "port", "host", "bindHost", "agentsDir", "memoryDb"),
        *("pipelineV2", "providerResolution", "logging", "activeSessions", "bypassedSessions", "agentCreatedAt"),
        *("health", "update", "embedding"),
    ]
    assert (shown["status"], shown["pid"], shown["port"], shown["uptime"]) == ("running", 4321, 3850, 12.5)
    assert shown["startedAt"] == "2026-11-21T04:06:27.500Z"
    assert (shown["host"], shown["bindHost"]) == ("127.0.0.1", "127.0.0.1")
    logs = f"{context.home_path}/.daemon/logs"
    assert shown["logging"] == {"logDir": logs, "logFile": f"{logs}/signet-2026-11-21.log"}
    assert shown["health"] == {"score": 0.95, "status": "healthy"}, "the predictor is on and does not run"
    assert shown["embedding"] == {"provider": "none", "model": "nomic-embed-text-v1.5"}


async def test_status_takes_what_only_legacy_knows_and_nothing_else_from_it(context: Context) -> None:
    update = {"currentVersion": "0.58.1", "latestVersion": "9.9.9", "timerActive": True}
    providers = {"extraction": {"configured": "codex", "resolved": "codex", "effective": "ollama"}, "synthesis": {}}
    context.told[STATUS] = {
        "pid": 1, "port": 2, "uptime": 3, "activeSessions": 4, "bypassedSessions": 2, "update": update,
        "providerResolution": providers, "embedding": {"provider": "other", "available": True}, "health": {"score": 0},
    }  # fmt: skip
    shown = await status(context)
    assert (shown["pid"], shown["port"], shown["uptime"]) == (4321, 3850, 12.5)
    assert (shown["activeSessions"], shown["bypassedSessions"]) == (4, 2)
    assert (shown["update"], shown["providerResolution"]) == (update, providers)
    assert shown["embedding"] == {"provider": "none", "model": "nomic-embed-text-v1.5", "available": True}
    assert shown["health"]["score"] == 0.95


@pytest.mark.parametrize("told", [{}, {"update": 5, "activeSessions": "x", "providerResolution": None, "embedding": 1}])
async def test_status_of_a_legacy_that_tells_nothing_usable_is_that_of_a_daemon_just_started(
    context: Context, told: dict[str, Any]
) -> None:
    context.configure(
        f"{QUIET}updates:\n  autoInstall: true\n  checkInterval: 900\n"
        "memory:\n  pipelineV2:\n    extraction:\n      provider: anthropic\n    synthesis:\n      enabled: false\n"
    )
    context.told[STATUS] = told
    shown = await status(context)
    assert (shown["activeSessions"], shown["bypassedSessions"]) == (0, 0)
    assert shown["update"] == {
        "currentVersion": "0.58.1", "latestVersion": None, "updateAvailable": False, "pendingRestart": None,
        "autoInstall": True, "checkInterval": 900, "lastCheckAt": None, "lastError": None, "timerActive": True,
    }  # fmt: skip
    assert shown["providerResolution"] == {
        "extraction": {"configured": "anthropic", "resolved": "anthropic", "effective": "ollama"},
        "synthesis": {"configured": None, "resolved": None, "effective": None},
    }


async def test_status_reads_the_pipeline_anew_and_startup_settings_not(context: Context) -> None:
    context.configure(f"{QUIET}updates:\n  checkInterval: 900\n")
    await read_at_start(context.reader, context.home_path, context.environment)
    context.configure(f"{QUIET}updates:\n  checkInterval: 1800\nmemory:\n  pipelineV2:\n    shadowMode: true\n")
    shown = await status(context)
    assert shown["pipelineV2"]["shadowMode"] is True
    assert shown["update"]["checkInterval"] == 900
    await read_at_start(context.reader, context.home_path, context.environment)
    assert (await status(context))["update"]["checkInterval"] == 1800


async def test_status_knows_of_the_embedder_what_was_asked_in_the_last_half_minute(context: Context) -> None:
    await ask(context, "GET", "/api/embeddings/status")
    assert (await status(context))["embedding"]["available"] is False
    context.clock.ms += 29_999
    assert (await status(context))["embedding"]["available"] is False
    context.clock.ms += 1
    assert "available" not in (await status(context))["embedding"]


@pytest.mark.parametrize(
    ("section", "shown"),
    [("  created: 2025-01-02", "2025-01-02"), ("  created: 1.50", "1.5"), ("  created: 0", None), (" created", None),
     ("  created: true", "true"), ("  created:\n    at: x", "[object Object]"), ("  created: ''", None)],
)  # fmt: skip
async def test_status_shows_the_day_of_birth_as_text(context: Context, section: str, shown: str | None) -> None:
    context.configure(f"{QUIET}agent:\n{section}\n")
    assert (await status(context))["agentCreatedAt"] == shown


async def test_day_of_birth_is_not_looked_for_in_config_yaml_or_behind_the_first_file(context: Context) -> None:
    born = f"{QUIET}agent:\n  created: 2025\n"
    context.configure(born, "AGENT.yaml")
    context.configure(born, "config.yaml")
    assert (await status(context))["agentCreatedAt"] is None
    (context.home_path / "agent.yaml").unlink()
    assert (await status(context))["agentCreatedAt"] == "2025"
    (context.home_path / "AGENT.yaml").unlink()
    assert (await status(context))["agentCreatedAt"] is None


async def test_status_of_a_home_without_database_has_no_health(tmp_path: Path) -> None:
    async with context_for(tmp_path) as context:
        shown = await status(context)
    assert shown["memoryDb"] is False
    assert "health" not in shown


async def test_features_are_booleans_of_the_first_section_in_javascripts_order(context: Context) -> None:
    context.configure("features: on\n")
    context.configure(
        "features:\n  b: true\n  10: true\n  2: 'false'\n  n: 1\n  t: yes\n  x:\n    y: true\n  __proto__: true\n",
        "AGENT.yaml",
    )
    assert (await ask(context, "GET", "/api/features")).body == b'{"2":false,"10":true,"b":true}'


async def test_features_count_from_the_start(context: Context) -> None:
    await read_at_start(context.reader, context.home_path, context.environment)
    context.configure("features:\n  late: true\n")
    assert (await ask(context, "GET", "/api/features")).body == b"{}"


async def test_features_of_the_same_process_are_read_once_and_of_the_next_one_anew(context: Context) -> None:
    await read_at_start(context.reader, context.home_path, context.environment, 100)
    context.configure("features:\n  late: true\n")
    await read_at_start(context.reader, context.home_path, context.environment, 100)
    assert (await ask(context, "GET", "/api/features")).body == b"{}"
    await read_at_start(context.reader, context.home_path, context.environment, 101)
    assert (await ask(context, "GET", "/api/features")).body == b'{"late":true}'


async def test_features_without_any_file_are_none(context: Context) -> None:
    (context.home_path / "agent.yaml").unlink()
    assert (await ask(context, "GET", "/api/features")).body == b"{}"


@pytest.mark.parametrize("mode", ["local", "hybrid", "team"])
async def test_caller_without_token_is_nobody(context: Context, mode: Any) -> None:
    context.policy = AuthPolicy(mode=mode)
    expected = f'{{"authenticated":false,"claims":null,"mode":"{mode}"}}'.encode()
    assert (await ask(context, "GET", "/api/auth/whoami")).body == expected


async def test_callers_claims_are_shown_as_signed_with_keys_in_javascripts_order(context: Context) -> None:
    context.policy = AuthPolicy(mode="team")
    raw = {"role": "agent", "x": 1.0, "scope": {"b": 1e21, "1": None}, "0": "first", "iat": 1.0, "exp": 2.5}
    claims = Claims("ann", {}, "agent", 1.0, 2.5, raw)
    reply = await ask(context, "GET", "/api/auth/whoami", claims=claims)
    assert reply.body == (
        b'{"authenticated":true,"claims":{"0":"first","role":"agent","x":1,"scope":{"1":null,"b":1e+21},"iat":1,'
        b'"exp":2.5},"mode":"team"}'
    )
    reply = await ask(context, "GET", "/api/auth/status", claims=claims)
    assert reply.body == b'{"mode":"team","authenticated":true}'


async def test_auth_status_needs_no_token(context: Context) -> None:
    context.policy = AuthPolicy(mode="hybrid")
    assert (await ask(context, "GET", "/api/auth/status")).body == b'{"mode":"hybrid","authenticated":false}'


async def test_greeting_is_legacys_while_it_is_fresh(context: Context) -> None:
    told = {"greeting": "Hello again", "cachedAt": "2026-11-21T03:06:40.001Z", "more": 1}
    context.told[GREETING] = told
    reply = await ask(context, "GET", "/api/home/greeting")
    assert reply.body == b'{"greeting":"Hello again","cachedAt":"2026-11-21T03:06:40.001Z"}'
    context.clock.ms += 1
    assert value(await ask(context, "GET", "/api/home/greeting"))["cachedAt"] == "2026-11-21T04:06:40.001Z"


@pytest.mark.parametrize("told", [None, {}, {"greeting": 5, "cachedAt": "2026-11-21T04:06:40.000Z"},
                                  {"greeting": "x", "cachedAt": "no date"}, {"greeting": "x"}])  # fmt: skip
async def test_greeting_of_our_own_is_kept_for_an_hour(context: Context, told: dict[str, Any] | None) -> None:
    if told is not None:
        context.told[GREETING] = told
    first = value(await ask(context, "GET", "/api/home/greeting"))
    assert re.fullmatch("good (morning|afternoon|evening)", first["greeting"])
    assert first["cachedAt"] == "2026-11-21T04:06:40.000Z"
    context.clock.ms += HOUR_MS - 1
    assert value(await ask(context, "GET", "/api/home/greeting")) == first
    context.clock.ms += 1
    assert value(await ask(context, "GET", "/api/home/greeting"))["cachedAt"] == "2026-11-21T05:06:40.000Z"


async def test_providers_commands_are_looked_for_on_the_path(context: Context, tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    context.environment["PATH"] = str(commands)
    pipeline = "memory:\n  pipelineV2:\n    synthesis:\n      provider: claude-code\n    extractionProvider: codex\n"
    context.configure(QUIET + pipeline)
    started = await read_at_start(context.reader, context.home_path, context.environment)
    assert (started.extraction.effective, started.synthesis.effective) == ("ollama", "ollama")
    for name in ("codex", "claude"):
        shutil.copy("/bin/sh", commands / name)
    started = await read_at_start(context.reader, context.home_path, context.environment)
    assert (started.extraction.effective, started.synthesis.effective) == ("codex", "claude-code")
