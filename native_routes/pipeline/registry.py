"""The list of models that clients choose from, as this process knows it: seeds, and what providers said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from native_routes.memory_config import MemoryConfig
from native_routes.outside import Clock
from native_routes.pipeline.discovery import anthropic_models, ollama_models, ollama_url
from native_routes.pipeline.known_models import Model, current, known_models, mark_deprecated, seeds
from native_routes.reader import Reader
from native_routes.startup_config import startup_config

ALLOWED_EVERY_MS: Final = 60_000
FIRST_WITHIN_S: Final = 2.0  # how long the first request waits for what providers say
API_KEY: Final = "ANTHROPIC_API_KEY"

log = structlog.get_logger(__name__)


class Context(Protocol):
    @property
    def home_path(self) -> Path: ...
    @property
    def reader(self) -> Reader: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def config(self) -> Callable[[], Awaitable[MemoryConfig]]: ...


class ModelRegistry:
    """One for the process. It is off where the configuration said so at the start; then it holds seeds only."""

    def __init__(self) -> None:
        self._models: dict[str, list[Model]] | None = None  # None = off
        self._interval_ms = 0.0
        self._refreshed_ms = 0
        self._tried_ms = 0
        self._asked_ms = 0
        self._opened: asyncio.Future[None] | None = None
        self._behind: set[asyncio.Future[None]] = set()  # held, or they could end half way
        self._refreshing = asyncio.Lock()

    @property
    def enabled(self) -> bool:
        return self._models is not None

    async def open(self, context: Context) -> None:
        """Ready for use; to be awaited before anything else, by each request. Lists older than the interval are
        asked for anew, behind the request."""
        if self._opened is None:
            self._opened = asyncio.ensure_future(self._open(context))
        await asyncio.shield(self._opened)
        if self.enabled and context.clock.now_ms() - self._tried_ms >= self._interval_ms:
            self._refresh_behind(context)

    def of_provider(self, provider: str | None) -> list[Model]:
        """All of one provider, outdated ones too; "" and None mean every one."""
        models = self._lists()
        return list(models.get(provider, [])) if provider else [one for each in models.values() for one in each]

    def by_provider(self) -> dict[str, list[Model]]:
        return {provider: current(models) for provider, models in self._lists().items()}

    def status(self) -> dict[str, Any]:
        counts = {provider: len(models) for provider, models in (self._models or {}).items()}
        return {"initialized": self.enabled, "lastRefreshAt": self._refreshed_ms, "modelCounts": counts}

    def may_refresh(self, now_ms: int) -> bool:
        """Once a minute; asking counts when it is allowed."""
        if now_ms - self._asked_ms < ALLOWED_EVERY_MS:
            return False
        self._asked_ms = now_ms
        return True

    async def refresh(self, context: Context) -> None:
        """Ask the providers that are configured now. Raises UnusableModelError."""
        extraction = (await context.config()).pipeline["extraction"]
        await self._refresh(context, extraction, extraction["provider"])

    def _lists(self) -> Mapping[str, list[Model]]:
        return known_models() if self._models is None else self._models

    async def _open(self, context: Context) -> None:
        started = await startup_config(context.reader, context.home_path, context.environment)
        settings = started.pipeline["modelRegistry"]
        if settings["enabled"]:
            self._models = known_models()
            self._interval_ms = settings["refreshIntervalMs"]
            await asyncio.wait((self._refresh_behind(context),), timeout=FIRST_WITHIN_S)

    def _refresh_behind(self, context: Context) -> asyncio.Future[None]:
        self._tried_ms = context.clock.now_ms()
        refresh = asyncio.ensure_future(self._refresh_as_started(context))
        self._behind.add(refresh)
        refresh.add_done_callback(self._ended)
        return refresh

    def _ended(self, refresh: asyncio.Future[None]) -> None:
        self._behind.discard(refresh)
        if not refresh.cancelled() and refresh.exception() is not None:
            log.warning("models_not_refreshed", error=str(refresh.exception()))

    async def _refresh_as_started(self, context: Context) -> None:
        """At the start and every hour: Ollama also where it stands in for a provider that is not there."""
        started = await startup_config(context.reader, context.home_path, context.environment)
        extraction, provider = started.pipeline["extraction"], started.extraction.effective
        await self._refresh(context, extraction, provider)

    async def _refresh(self, context: Context, extraction: Mapping[str, Any], provider: str | None) -> None:
        key = await _api_key(context)
        if self._models is None:
            return
        asks_ollama = provider == "ollama" and not (key and extraction["provider"] == "anthropic")
        async with self._refreshing:
            asked = ollama_models(ollama_url(extraction)) if asks_ollama else _nobody()
            ollama, anthropic = await asyncio.gather(asked, anthropic_models(key))
            if ollama:
                merged = {one["id"]: one for one in [*seeds("ollama"), *ollama]}
                self._models["ollama"] = mark_deprecated(list(merged.values()))
            self._models["anthropic"] = anthropic
            self._refreshed_ms = context.clock.now_ms()


async def _nobody() -> list[Model]:
    return []


async def _api_key(context: Context) -> str | None:
    """From the environment, else from the sealed secrets; None where neither has one that can be read."""
    return context.environment.get(API_KEY) or await asyncio.to_thread(
        _sealed_api_key, context.home_path, context.environment
    )


def _sealed_api_key(home_path: Path, environment: Mapping[str, str]) -> str | None:
    path = home_path / ".secrets" / "secrets.enc"
    if not path.exists():
        return None
    from native_routes.secrets.sealing import UnsealError, machine_key, unseal  # libsodium, only where there are any
    from native_routes.secrets.store import SecretsFile, StoreError

    try:
        return unseal(SecretsFile(path).sealed(API_KEY), machine_key(environment)) or None
    except (OSError, KeyError, StoreError, UnsealError):
        return None
