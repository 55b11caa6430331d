"""Can texts be turned into vectors now: the provider is asked, and what it said counts for half a minute.

Nothing is embedded for anybody here. Needs no numpy: `/api/status` asks what is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

from native_routes.daemon_log import DaemonLog
from native_routes.javascript.dates import iso_text, parse_date
from native_routes.javascript.primitives import Undefined, stringify, trim, undefined
from native_routes.javascript.values import shown, truthy
from native_routes.memory_config import OPENAI_URL, EmbeddingConfig
from native_routes.outside import Clock
from native_routes.searching import service_reply
from native_routes.searching.embedding_failures import Tell, failed, refused
from native_routes.searching.json_post import bearer
from native_routes.searching.service_reply import ServiceError
from native_routes.searching.vector_reply import openai_vector

KEPT_MS: Final = 30_000
OLLAMA_WITHIN_S: Final = 5.0
FALLBACK_WITHIN_S: Final = 3.0
EMBED_WITHIN_S: Final = 30.0
FALLBACK_TAGS_URL: Final = "http://127.0.0.1:11434/api/tags"
FALLBACK_MODEL: Final = "nomic-embed-text"
FALLBACK_DIMENSIONS: Final = 768
MODEL_NOT_HERE: Final = "Native embedding provider not ready"
SWITCHED_OFF: Final = "Embedding provider set to 'none' — vector search disabled"
_STORED_KEYS: Final = ("$secret:", "op://")


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What `/api/embeddings/status` shows, less the tracker. Keys that are undefined are left out."""

    provider: Any
    model: Any
    base_url: str
    available: bool
    checked_at: str
    dimensions: Any = undefined
    error: str | Undefined = undefined

    def as_json(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "model": self.model,
            "base_url": self.base_url,
            "available": self.available,
            "checkedAt": self.checked_at,
            "dimensions": self.dimensions,
            "error": self.error,
        }


def only_legacy_knows(config: EmbeddingConfig) -> bool:
    """Whether the answer is in legacy's process: its own model is loaded there, stored secrets are read there."""
    key = config.api_key
    return config.provider == "native" or (isinstance(key, str) and trim(key).startswith(_STORED_KEYS))


class ProviderContext(Protocol):
    @property
    def clock(self) -> Clock: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def daemon_log(self) -> DaemonLog: ...


class EmbeddingProvider:
    """What is known of the provider, of whatever configuration it was asked for, as legacy keeps it. One for the
    process: `kept(context.reader, EmbeddingProvider)`."""

    def __init__(self) -> None:
        self._status: ProviderStatus | None = None
        self._asked_at_ms = 0
        self._checking: asyncio.Task[ProviderStatus] | None = None

    def known(self, now_ms: int) -> ProviderStatus | None:
        """What was found in the last half minute."""
        return self._status if now_ms - self._asked_at_ms < KEPT_MS else None

    async def status(
        self, context: ProviderContext, config: EmbeddingConfig, told: Mapping[str, Any] | None = None
    ) -> ProviderStatus:
        """What is known, or is found out now, which takes as long as the provider does; never raises for what it does.

        `told` is legacy's own status: it counts while it is fresh, so that the provider is not asked by both of us, and
        at any age where only legacy can know. Callers at the same time share a check.
        """
        now_ms = context.clock.now_ms()
        if told is not None and (only_legacy_knows(config) or _is_fresh(told, now_ms)):
            return _told(config, told)
        known = self.known(now_ms)
        if known is not None:
            return known
        if self._checking is None:
            check = self._check(context, config)
            self._checking = asyncio.get_running_loop().create_task(check, name="embedding provider")
            self._checking.add_done_callback(self._checked)
        return await asyncio.shield(self._checking)

    def _checked(self, task: asyncio.Task[ProviderStatus]) -> None:
        self._checking = None

    async def _check(self, context: ProviderContext, config: EmbeddingConfig) -> ProviderStatus:
        asked_at_ms = context.clock.now_ms()
        unknown = ProviderStatus(config.provider, config.model, _base_url(config), False, iso_text(asked_at_ms))
        try:
            tell = partial(context.daemon_log.warn, "embedding")
            status = await _asked(unknown, config, context.environment.get("OPENAI_API_KEY", ""), tell)
        except ServiceError as error:
            status = replace(unknown, error=str(error))
        if not only_legacy_knows(config):  # legacy may tell better the next time
            self._status, self._asked_at_ms = status, asked_at_ms
        return status


async def _asked(unknown: ProviderStatus, config: EmbeddingConfig, environment_key: str, tell: Tell) -> ProviderStatus:
    """Raises ServiceError."""
    if config.provider == "none":
        return replace(unknown, error=SWITCHED_OFF)
    if config.provider == "native":
        return await _fallback(unknown)
    if config.provider == "ollama":
        return await _ollama(unknown, config)
    key = _api_key(config) or environment_key
    if not key:
        return replace(unknown, error="Missing OpenAI API key")
    return await _openai(unknown, config, key, tell)


def _api_key(config: EmbeddingConfig) -> str:
    """The configured one, "" when there is none. Raises ServiceError."""
    configured = config.api_key
    if configured is not None and not isinstance(configured, str):
        raise ServiceError(f"embedding.api_key is {shown(configured)}: expected text")
    key = trim(configured or "")
    if key.startswith(_STORED_KEYS):
        raise ServiceError("embedding.api_key names a stored secret, which only the legacy daemon can read")
    return key


def _is_fresh(told: Mapping[str, Any], now_ms: int) -> bool:
    checked_at = told.get("checkedAt")
    checked_ms = parse_date(checked_at) if isinstance(checked_at, str) else None
    return checked_ms is not None and 0 <= now_ms - checked_ms < KEPT_MS


def _told(config: EmbeddingConfig, told: Mapping[str, Any]) -> ProviderStatus:
    return ProviderStatus(
        provider=told.get("provider", config.provider),
        model=told.get("model", config.model),
        base_url=told.get("base_url", _base_url(config)),
        available=told.get("available") is True,
        checked_at=told.get("checkedAt", ""),
        dimensions=told.get("dimensions", undefined),
        error=told.get("error", undefined),
    )


def _base_url(config: EmbeddingConfig) -> str:
    return trim(config.base_url) or OPENAI_URL if config.provider == "openai" else config.base_url


async def _ollama(unknown: ProviderStatus, config: EmbeddingConfig) -> ProviderStatus:
    reply = await service_reply.get(f"{config.base_url.removesuffix('/')}/api/tags", OLLAMA_WITHIN_S)
    if not reply.is_success:
        return replace(unknown, error=f"Ollama returned {reply.status}")
    names, wanted = _model_names(reply.json()), shown(config.model)
    if _has(names, wanted):
        return replace(unknown, available=True, dimensions=config.dimensions)
    available = ", ".join(map(str, names)) or "none"
    return replace(unknown, error=f"Model '{wanted}' not found. Available: {available}")


async def _fallback(unknown: ProviderStatus) -> ProviderStatus:
    """Legacy's model is not in this process, so this is what legacy finds when it cannot load it."""
    try:
        reply = await service_reply.get(FALLBACK_TAGS_URL, FALLBACK_WITHIN_S)
        if not reply.is_success:
            return replace(unknown, error=f"Native: {MODEL_NOT_HERE}. Ollama not available.")
        found = _has(_model_names(reply.json()), FALLBACK_MODEL)
    except ServiceError:
        return replace(unknown, error=f"Native: {MODEL_NOT_HERE}. Ollama not reachable.")
    if found:
        error = "Native unavailable — using ollama fallback"
        return replace(unknown, available=True, dimensions=FALLBACK_DIMENSIONS, error=error)
    error = f"Native: {MODEL_NOT_HERE}. Ollama available but {FALLBACK_MODEL} not found."
    return replace(unknown, error=error)


async def _openai(unknown: ProviderStatus, config: EmbeddingConfig, key: str, tell: Tell) -> ProviderStatus:
    """One real embedding. Any failure is answered in the same words; the log says more."""
    url = f"{_base_url(config).removesuffix('/')}/embeddings"
    body = stringify({"model": config.model, "input": "test"})
    vector = None
    try:
        reply = await service_reply.post(url, body.encode(), bearer(key), EMBED_WITHIN_S)
        if reply.is_success:
            vector = openai_vector(reply.json())
        else:
            tell(*refused(config, reply.status))
    except ServiceError as error:
        tell(*failed(config, str(error)))
    if not truthy(vector):
        return replace(unknown, error="Failed to generate test embedding")
    return replace(unknown, available=True, dimensions=service_reply.length(vector))


def _model_names(value: Any) -> list[Any]:
    """`name` of each of the reply's models, None for one without. Raises ServiceError.

    Differs: for a reply of another shape the error is in our words; legacy's is Bun's, with a piece of its program.
    """
    models = value.get("models") if isinstance(value, dict) else None
    if models is None and value is not None:
        return []
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise ServiceError("the list of models is not what Ollama sends")
    return [model.get("name") for model in models]


def _has(names: list[Any], wanted: str) -> bool:
    """Whether one of them begins like this; the first that is no text is in the way. Raises ServiceError."""
    for name in names:
        if not isinstance(name, str):
            raise ServiceError("a model without a name is in Ollama's list")
        if name.startswith(wanted):
            return True
    return False
