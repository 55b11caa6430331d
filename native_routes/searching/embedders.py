"""Text to vector, by the provider that the configuration names. Never raises: without a vector, words still find.

The provider `native` is legacy's model in its own process, and `local_model.py` in ours. Where that is not installed or
fails, an Ollama is asked at its default address, as legacy does: `status` says who answered. No other provider is ever
replaced by another.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import numpy as np
import structlog
from numpy.typing import NDArray

from native_routes.declaration import LeftToLegacy
from native_routes.javascript.json_bytes import stringify_utf8
from native_routes.javascript.primitives import trim
from native_routes.memory_config import OLLAMA_URL, OPENAI_URL, EmbeddingConfig
from native_routes.searching.embedding_failures import NO_KEY, EmbeddingError, Tell, failed, refused
from native_routes.searching.fetch_address import fetch_address
from native_routes.searching.json_post import JsonPoster, PostError, bearer
from native_routes.searching.service_reply import TIMED_OUT, not_json
from native_routes.searching.vector_reply import (
    ArrayLengthError,
    NoVectorError,
    ollama_vector,
    openai_vector,
    read_vector,
)

if TYPE_CHECKING:
    from native_routes.searching.local_model import LocalModel

Vector = NDArray[np.float32]  # shape (dimensions,), whatever the provider sent
Resolve = Callable[[str], Awaitable[str]]

TIMEOUT_S: Final = 30.0  # Legacy's.
FALLBACK_MODEL: Final = "nomic-embed-text"
LOCAL_MODEL: Final = "local model"
CACHED_VECTORS: Final = 2_048  # 6 MB at 768 dimensions
CACHED_TEXT_LIMIT: Final = 8_192  # characters; longer texts are not queries that come again
CACHED_FOR_S: Final = 600.0
PATIENCE_S: Final = 0.25  # how long a cached vector waits for the embedder's own answer, which may be a refusal
READ_AT_ONCE_BYTES: Final = 100_000  # 768 numbers take 0.1 ms to read; more must not hold up the event loop
WARN_EVERY_S: Final = 60.0  # for the same failure

log = structlog.get_logger(__name__)


class EmbedderState(StrEnum):
    OFF = "off"  # the configuration says none
    WARMING = "warming"  # nobody has asked yet
    READY = "ready"
    COOLING = "cooling"  # the last request failed; the next one is tried all the same, as legacy does


@dataclass(frozen=True, slots=True)
class EmbedderStatus:
    """What `/health/ready` and the journal say of the embedder. `failures` counts since the process began.

    `answered_by` is who made the last vector: an address, or "local model".
    """

    state: EmbedderState
    provider: str
    model: str
    problem: str | None = None
    failures: int = 0
    cached: int = 0
    answered_by: str | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    url: str
    body: bytes
    fields: Mapping[str, str]
    find: Callable[[Any], Any]  # the vector in the parsed reply


class Embedder:
    """One for the process: its cache and its connections are shared by every request."""

    def __init__(
        self,
        *,
        openai_api_key: str = "",
        resolve_secret: Resolve | None = None,
        local_model: LocalModel | None = None,
        legacy_answers: Callable[[], bool] = lambda: False,
        cached_vectors: int = CACHED_VECTORS,
        tell: Tell = lambda message, data: None,
    ) -> None:
        """`resolve_secret` turns `$secret:NAME` and `op://...` into a key; without it such a key is a failure.

        `local_model` is closed with this. `legacy_answers`: whether a request may be left to legacy now. `tell` writes
        a warning into Signet's log, as legacy does for each failure.
        """
        self._poster = JsonPoster()
        self._environment_key = openai_api_key
        self._resolve_secret = resolve_secret
        self._local_model = local_model
        self._legacy_answers = legacy_answers
        self._cached_vectors = cached_vectors
        self._tell = tell
        self._config: EmbeddingConfig | None = None
        self._cache: OrderedDict[str, tuple[float, Vector]] = OrderedDict()
        self._asking: set[asyncio.Task[Vector | None]] = set()  # for whom a vector of earlier has stood in
        self._status = EmbedderStatus(EmbedderState.WARMING, "", "")
        self._answered_by: str | None = None
        self._warned: dict[str, float] = {}

    @property
    def status(self) -> EmbedderStatus:
        return self._status

    def leave_to_legacy(self, config: EmbeddingConfig) -> None:
        """Raises LeftToLegacy where legacy has the model that is configured, and this process cannot run it.

        To be called before anything is done. Without legacy the request goes on: words are better than nothing.
        """
        model = self._local_model
        if config.provider == "native" and model is not None and model.is_legacys_alone and self._legacy_answers():
            raise LeftToLegacy

    async def embed(self, text: str, config: EmbeddingConfig) -> Vector | None:
        """The vector of a text, of whatever length the provider sends; None when there is none.

        Legacy: fetchEmbedding.
        """
        if config.provider == "none":
            self._note(config, EmbedderState.OFF)
            return None
        try:
            vector = await self._ask(text, config)
        except EmbeddingError as error:
            self._fail(config, str(error))
            if error.entry is not None:
                self._tell(*error.entry)
            return None
        self._note(config, EmbedderState.READY)
        return vector

    async def embed_query(self, text: str, config: EmbeddingConfig) -> Vector | None:
        """The same for a text that may come again.

        Differs: a vector of the last ten minutes stands in for an embedder that is slow to answer, or hangs.
        """
        if config != self._config:
            self._config = config
            self._cache.clear()
        known = self._cached(text)
        if known is None:
            return await self._embed_and_keep(text, config)
        asking = asyncio.get_running_loop().create_task(self._embed_and_keep(text, config))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        await asyncio.wait({asking}, timeout=PATIENCE_S)
        return asking.result() if asking.done() else known

    async def close(self) -> None:
        for task in tuple(self._asking):
            task.cancel()
        if self._local_model is not None:
            await self._local_model.close()
        await self._poster.close()

    async def _embed_and_keep(self, text: str, config: EmbeddingConfig) -> Vector | None:
        vector = await self.embed(text, config)
        if vector is not None and config == self._config and len(text) <= CACHED_TEXT_LIMIT:
            self._cache[text] = (time.monotonic() + CACHED_FOR_S, vector)
            self._cache.move_to_end(text)
            while len(self._cache) > self._cached_vectors:
                self._cache.popitem(last=False)
        return vector

    def _cached(self, text: str) -> Vector | None:
        found = self._cache.get(text)
        if found is None:
            return None
        if found[0] < time.monotonic():
            del self._cache[text]
            return None
        self._cache.move_to_end(text)
        return found[1]

    async def _ask(self, text: str, config: EmbeddingConfig) -> Vector:
        if config.provider == "native" and self._local_model is not None:
            return await self._ask_local_model(text, config, self._local_model)
        return await self._ask_service(await self._request(text, config), config)

    async def _ask_local_model(self, text: str, config: EmbeddingConfig, model: LocalModel) -> Vector:
        """Legacy: what its model cannot do, an Ollama does."""
        vector = await model.embed(text, TIMEOUT_S)
        if vector is not None:
            self._answered_by = LOCAL_MODEL
            return vector
        try:
            return await self._ask_service(_ollama(OLLAMA_URL, FALLBACK_MODEL, text), config)
        except EmbeddingError as error:
            raise EmbeddingError(f"no local model: {model.status.problem}; {error}") from error

    async def _ask_service(self, request: _Request, config: EmbeddingConfig) -> Vector:
        try:
            status, body = await self._poster.post(request.url, request.body, request.fields, TIMEOUT_S)
        except TimeoutError as error:
            problem = f"{request.url} did not answer within {TIMEOUT_S:g} s"
            raise EmbeddingError(problem, failed(config, TIMED_OUT)) from error
        except PostError as error:
            raise EmbeddingError(f"{request.url}: {error}", failed(config, error.told)) from error
        if not 200 <= status < 300:
            raise EmbeddingError(f"{request.url} answered {status}", refused(config, status))
        try:
            if len(body) < READ_AT_ONCE_BYTES:
                vector = read_vector(body, request.find)
            else:
                vector = await asyncio.to_thread(read_vector, body, request.find)
        except (ValueError, RecursionError) as error:
            problem = f"{request.url} answered something that is no vector: {error}"
            if isinstance(error, NoVectorError):
                raise EmbeddingError(problem) from error
            told = str(error) if isinstance(error, ArrayLengthError) else await asyncio.to_thread(not_json, body)
            raise EmbeddingError(problem, failed(config, told)) from error
        self._answered_by = urlsplit(fetch_address(request.url)).netloc.rpartition("@")[2]
        return vector

    async def _request(self, text: str, config: EmbeddingConfig) -> _Request:
        if config.provider == "native":
            return _ollama(OLLAMA_URL, FALLBACK_MODEL, text)
        if config.provider == "ollama":
            return _ollama(config.base_url, config.model, text)
        key = await self._api_key(config)
        base = config.base_url
        if config.provider == "openai":
            base = trim(base) or OPENAI_URL
        if not key and _host(base) == "api.openai.com":
            problem = "api.openai.com needs an API key: set embedding.api_key or OPENAI_API_KEY"
            raise EmbeddingError(problem, (NO_KEY, None))
        fields = bearer(key) if key else {}
        return _Request(
            f"{_base(base)}/embeddings", _json({"model": config.model, "input": text}), fields, openai_vector
        )

    async def _api_key(self, config: EmbeddingConfig) -> str:
        configured = config.api_key
        if configured is not None and not isinstance(configured, str):
            raise EmbeddingError(f"embedding.api_key is {type(configured).__name__}: expected text")
        key = trim(configured or "")
        if key.startswith(("$secret:", "op://")):
            if self._resolve_secret is None:
                raise EmbeddingError("embedding.api_key names a stored secret, which only legacy can read yet")
            try:
                return await self._resolve_secret(key)
            except EmbeddingError as error:
                raise EmbeddingError(f"embedding.api_key: {error}", failed(config, str(error))) from error
        return key or self._environment_key

    def _note(self, config: EmbeddingConfig, state: EmbedderState, problem: str | None = None) -> None:
        now = self._status
        failures = now.failures + (state is EmbedderState.COOLING)
        self._status = EmbedderStatus(
            state, str(config.provider), str(config.model), problem, failures, len(self._cache), self._answered_by
        )

    def _fail(self, config: EmbeddingConfig, problem: str) -> None:
        self._note(config, EmbedderState.COOLING, problem)
        now = time.monotonic()
        if now - self._warned.get(problem, -WARN_EVERY_S) >= WARN_EVERY_S:
            if len(self._warned) >= 100:
                self._warned.clear()
            self._warned[problem] = now
            log.warning("embedding_failed", provider=self._status.provider, problem=problem)


def _ollama(base: str, model: Any, text: str) -> _Request:
    return _Request(f"{_base(base)}/api/embeddings", _json({"model": model, "prompt": text}), {}, ollama_vector)


def _json(value: Any) -> bytes:
    return stringify_utf8(value)


def _base(url: str) -> str:
    return url.removesuffix("/")


def _host(url: str) -> str | None:
    try:
        return urlsplit(trim(url)).hostname
    except ValueError:
        return None
