"""What native answers need to search by meaning: the embedder, the vectors in memory, the counts of accesses.

Made when the first request asks for it, because numpy and the vectors take memory and time that a proxy which only
forwards should not spend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from native_routes.daemon_log import DaemonLog
from native_routes.recall.access_tracking import AccessTracker
from native_routes.recall.search import Searcher
from native_routes.searching.embedders import Embedder
from native_routes.searching.embedding_failures import EmbeddingError
from native_routes.searching.local_model import MODELS_FOLDER, LocalModel
from native_routes.searching.vectors import VectorSearch
from native_routes.secrets.opening import SecretError, resolve
from proxy.settings import Settings


class MemorySearch:
    """One for the process; to be made on the event loop, and closed before the database's anchor is let go."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        legacy_answers: Callable[[], bool],
        daemon_log: DaemonLog,
    ) -> None:
        """`legacy_answers`: whether a request may be left to legacy now."""
        self._settings = settings
        self._environment = environment
        self.local_model = LocalModel(settings.home_path / MODELS_FOLDER)
        self.embedder = Embedder(
            openai_api_key=environment.get("OPENAI_API_KEY", ""),
            resolve_secret=self._resolve_secret,
            local_model=self.local_model,
            legacy_answers=legacy_answers,
            tell=partial(daemon_log.warn, "embedding"),
        )
        self.tracker = AccessTracker()
        loop = asyncio.get_running_loop()

        def step_failed(message: str, error: str) -> None:
            loop.call_soon_threadsafe(daemon_log.warn, "memory", message, {"error": error})

        self.searcher = Searcher(self.tracker, step_failed)
        self.vectors = VectorSearch(
            settings.database_path,
            form=settings.vectors_form,
            limit_bytes=settings.vectors_limit_bytes,
            books=self.tracker,
        )

    def embedder_document(self) -> dict[str, Any]:
        """Which provider is configured and who really answers, for `/_proxy/status`."""
        return {**asdict(self.embedder.status), "local_model": asdict(self.local_model.status)}

    def vectors_document(self) -> dict[str, Any]:
        """Who searches vectors, in which form they are kept and what they take, for `/_proxy/status`."""
        return asdict(self.vectors.status)

    async def close(self) -> None:
        """Write what is pending, then close."""
        await self.vectors.close()
        await self.embedder.close()

    async def _resolve_secret(self, setting: str) -> str:
        """Raises EmbeddingError."""
        try:
            return await resolve(self._settings.home_path, self._environment, setting)
        except SecretError as error:
            raise EmbeddingError(str(error)) from error
