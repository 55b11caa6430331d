"""Why no vector came: in our words for operators, and as legacy's log tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from native_routes.memory_config import EmbeddingConfig

NO_KEY: Final = "No API key configured for OpenAI embeddings, skipping request to api.openai.com"

Tell = Callable[[str, Mapping[str, Any] | None], None]
"""Writes a warning of the category `embedding` into Signet's log."""
Entry = tuple[str, Mapping[str, Any] | None]
"""Message and data of an entry in Signet's log."""


class EmbeddingError(Exception):
    """No vector came; the message says why. `entry` is what Signet's log says of it, None for nothing."""

    def __init__(self, problem: str, entry: Entry | None = None) -> None:
        super().__init__(problem)
        self.entry = entry


def refused(config: EmbeddingConfig, status: int) -> Entry:
    """The service answered, with a status that is no success."""
    if config.provider == "ollama":
        return "Ollama embedding request failed", {"status": status, "model": config.model}
    told = {"status": status, "provider": config.provider, "model": config.model}
    return "Embedding API request failed", told


def failed(config: EmbeddingConfig, error: str) -> Entry:
    """It could not be asked, or its reply not be read; `error` in the words of legacy's engine."""
    return "Embedding fetch error", {"provider": config.provider, "model": config.model, "error": error}
