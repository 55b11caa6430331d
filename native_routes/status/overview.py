"""What `/api/status` shows: this process, the configuration as it is now, and what legacy's memory knows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol

from native_routes.agent_yaml import FILE_NAMES, parse
from native_routes.database import DatabaseError
from native_routes.diagnostics.report import Context as ReportContext
from native_routes.diagnostics.report import current_report
from native_routes.health.vitals import Vitals
from native_routes.javascript.dates import iso_text
from native_routes.javascript.primitives import undefined
from native_routes.javascript.values import shown, truthy
from native_routes.kept_state import kept
from native_routes.memory_config import EmbeddingConfig
from native_routes.pipeline_config import is_number, look_up
from native_routes.searching.embedding_provider import EmbeddingProvider
from native_routes.startup_config import StartupConfig, startup_config

STATUS_TARGET: Final = b"/api/status"
LOOPBACK: Final = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}  # as legacy shows them


class Listening(Protocol):
    """The settings that are shown."""

    @property
    def host(self) -> str: ...
    @property
    def listen_host(self) -> str: ...
    @property
    def logs_path(self) -> Path: ...


class OverviewContext(ReportContext, Protocol):
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def settings(self) -> Listening: ...
    def vitals(self) -> Vitals: ...


async def overview(context: OverviewContext) -> dict[str, Any]:
    """Legacy's keys in its order. `health` is missing when the database cannot be read."""
    told, health, config, found, started = await asyncio.gather(
        context.borrow(STATUS_TARGET),
        _health(context),
        context.config(),
        asyncio.to_thread(_look, context.home_path),
        startup_config(context.reader, context.home_path, context.environment),
    )
    has_database, created_at = found
    vitals, settings, now_ms = context.vitals(), context.settings, context.clock.now_ms()
    known = kept(context.reader, EmbeddingProvider).known(now_ms)
    return {
        "status": "running",
        "version": vitals.version,
        "pid": vitals.pid,
        "uptime": vitals.uptime_s,
        "startedAt": iso_text(int(now_ms - vitals.uptime_s * 1000)),
        "port": vitals.port,
        "host": LOOPBACK.get(settings.host, settings.host),
        "bindHost": LOOPBACK.get(settings.listen_host, settings.listen_host),
        "agentsDir": vitals.agents_dir,
        "memoryDb": has_database,
        "pipelineV2": config.pipeline,
        "providerResolution": _section(told, "providerResolution") or _providers(started),
        "logging": _logging(settings.logs_path, now_ms),
        "activeSessions": _count(told, "activeSessions"),
        "bypassedSessions": _count(told, "bypassedSessions"),
        "agentCreatedAt": created_at,
        "health": health,
        "update": _section(told, "update") or _unchecked(started, vitals.version),
        "embedding": _embedding(config.embedding, None if known is None else known.available, told),
    }


async def _health(context: OverviewContext) -> Any:
    try:
        return (await current_report(context))["composite"]
    except DatabaseError:
        return undefined


def _look(home_path: Path) -> tuple[bool, str | None]:
    """Whether the database is there, and when the agent was made, as its configuration says. Blocks on the disk."""
    return (home_path / "memory" / "memories.db").exists(), _created_at(home_path)


def _created_at(home_path: Path) -> str | None:
    path = next((path for name in FILE_NAMES[:2] if (path := home_path / name).exists()), None)
    try:
        values = {} if path is None else parse(path.read_bytes().decode(errors="replace"))
    except OSError:
        return None
    created = look_up(values, "agent.created")
    return shown(created) if truthy(created) else None


def _providers(started: StartupConfig) -> dict[str, Any]:
    return {"extraction": asdict(started.extraction), "synthesis": asdict(started.synthesis)}


def _logging(logs_path: Path, now_ms: int) -> dict[str, Any]:
    return {"logDir": str(logs_path), "logFile": str(logs_path / f"signet-{iso_text(now_ms)[:10]}.log")}


def _unchecked(started: StartupConfig, version: str) -> dict[str, Any]:
    """The update section of a daemon that has not looked yet."""
    return {
        "currentVersion": version,
        "latestVersion": None,
        "updateAvailable": False,
        "pendingRestart": None,
        "autoInstall": started.updates.auto_install,
        "checkInterval": started.updates.check_interval_s,
        "lastCheckAt": None,
        "lastError": None,
        "timerActive": started.updates.auto_install,
    }


def _embedding(config: EmbeddingConfig, known: bool | None, told: Mapping[str, Any] | None) -> dict[str, Any]:
    """`available` only while somebody has asked the provider in the last half minute: we, or else legacy."""
    available = (_section(told, "embedding") or {}).get("available", undefined) if known is None else known
    return {"provider": config.provider, "model": config.model, "available": available}


def _section(told: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    section = None if told is None else told.get(name)
    return section if isinstance(section, Mapping) else None


def _count(told: Mapping[str, Any] | None, name: str) -> float:
    count = None if told is None else told.get(name)
    return count if is_number(count) else 0
