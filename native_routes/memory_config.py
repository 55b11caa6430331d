"""The settings that memory requests depend on, from the agent's configuration; an edit counts for the next request.

Nothing here fails: what an operator wrote and did not mean becomes what legacy makes of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from native_routes.agent_yaml import FILE_NAMES, read_config
from native_routes.javascript.primitives import number_text, parse_float, parse_int, trim
from native_routes.pipeline_config import clamp, is_number, look_up, read_pipeline

OLLAMA_URL: Final = "http://localhost:11434"
OPENAI_URL: Final = "https://api.openai.com/v1"
DEFAULT_MODEL: Final = "nomic-embed-text-v1.5"
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class EmbeddingConfig:
    """Who turns text into vectors. Values that are no text are kept as they are: legacy sends them as JSON."""

    provider: Any = "native"  # native, ollama, openai, none; any other value is treated as OpenAI-compatible
    model: Any = DEFAULT_MODEL
    dimensions: float = 768  # NaN when the setting is no number: then no vector has the right length
    base_url: str = ""
    api_key: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """Weights of hybrid search. `alpha`, `top_k` and `min_score` can be NaN, which compares false with everything."""

    alpha: float = 0.7  # weight of the vector score
    top_k: float = 20  # candidates from each source
    min_score: float = 0.1
    rehearsal_enabled: bool = True
    rehearsal_weight: float = 0.1
    rehearsal_half_life_days: float = 30


@dataclass(frozen=True, slots=True)
class GraphConfig:
    enabled: bool
    boost_weight: float
    boost_timeout_ms: float


@dataclass(frozen=True, slots=True)
class TraversalConfig:
    enabled: bool
    max_aspects_per_entity: float
    max_attributes_per_aspect: float
    max_dependency_hops: float
    min_dependency_strength: float
    timeout_ms: float
    boost_weight: float


@dataclass(frozen=True, slots=True)
class RerankerConfig:
    enabled: bool
    top_n: float
    timeout_ms: float


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """One reading of the configuration file. `pipeline` is the whole section as `/api/status` shows it."""

    embedding: EmbeddingConfig
    search: SearchConfig
    pipeline: Mapping[str, Any]
    graph: GraphConfig
    traversal: TraversalConfig
    reranker: RerankerConfig
    recall_truncate_chars: float

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> MemoryConfig:
        """From the parsed file; {} gives every default."""
        pipeline = read_pipeline(look_up(values, "memory.pipelineV2"))
        graph, traversal, reranker = pipeline["graph"], pipeline["traversal"], pipeline["reranker"]
        return cls(
            embedding=_embedding(values),
            search=_search(values.get("search")),
            pipeline=pipeline,
            graph=GraphConfig(graph["enabled"], graph["boostWeight"], graph["boostTimeoutMs"]),
            traversal=TraversalConfig(
                enabled=traversal["enabled"],
                max_aspects_per_entity=traversal["maxAspectsPerEntity"],
                max_attributes_per_aspect=traversal["maxAttributesPerAspect"],
                max_dependency_hops=traversal["maxDependencyHops"],
                min_dependency_strength=traversal["minDependencyStrength"],
                timeout_ms=traversal["timeoutMs"],
                boost_weight=traversal["boostWeight"],
            ),
            reranker=RerankerConfig(reranker["enabled"], reranker["topN"], reranker["timeoutMs"]),
            recall_truncate_chars=pipeline["guardrails"]["recallTruncateChars"],
        )


def _embedding(values: Mapping[str, Any]) -> EmbeddingConfig:
    found = (values.get("embedding"), look_up(values, "memory.embeddings"), values.get("embeddings"))
    section: Any = next((candidate for candidate in found if candidate is not None), {})
    provider = look_up(section, "provider")
    if provider == "none":
        return EmbeddingConfig(provider="none")
    if not provider and not isinstance(provider, Mapping):  # an empty mapping is an object, and true in JavaScript
        return EmbeddingConfig()
    model, dimensions = look_up(section, "model"), look_up(section, "dimensions")
    urls = (look_up(section, "base_url"), look_up(section, "endpoint"))
    url = next((url for url in urls if isinstance(url, str)), "")
    fallback = {"ollama": OLLAMA_URL, "openai": OPENAI_URL}.get(provider, url) if isinstance(provider, str) else url
    return EmbeddingConfig(
        provider=provider,
        model=DEFAULT_MODEL if model is None else model,
        dimensions=parse_int(_text(768 if dimensions is None else dimensions)),
        base_url=url if trim(url) else fallback,
        api_key=look_up(section, "api_key"),
    )


def _search(section: Any) -> SearchConfig:
    values = section if isinstance(section, Mapping) else {}
    enabled = values.get("rehearsal_enabled", True)
    weight, half_life = values.get("rehearsal_weight"), values.get("rehearsal_half_life_days")
    rehearsal: dict[str, Any] = {
        "rehearsal_enabled": enabled is True,
        "rehearsal_weight": clamp(weight, 0, 1) if is_number(weight) else 0.1,
        "rehearsal_half_life_days": max(1, half_life) if is_number(half_life) else 30,
    }
    alpha = values.get("alpha", _MISSING)
    if alpha is _MISSING:
        return SearchConfig(**rehearsal)
    # Setting alpha is what makes the other two count, and it changes the default of min_score.
    top_k, min_score = values.get("top_k"), values.get("min_score")
    return SearchConfig(
        alpha=parse_float(_text(alpha)),
        top_k=parse_int(_text(20 if top_k is None else top_k)),
        min_score=parse_float(_text(0.3 if min_score is None else min_score)),
        **rehearsal,
    )


def _text(value: Any) -> str:
    """`String(value)` of a parsed setting."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return number_text(value) if abs(value) != float("inf") else "Infinity"
    return value if isinstance(value, str) else "[object Object]"


Fingerprint = tuple[tuple[int, int, int] | None, ...]


class MemoryConfigFile:
    """The configuration of one home, parsed again when its file changed: (mtime, size, inode) of each candidate up to
    the one that is used.
    """

    def __init__(self, home_path: Path) -> None:
        self._home_path = home_path
        # As text: joining paths per request would cost more than asking for the file's state.
        self._candidates = tuple(str(home_path / name) for name in FILE_NAMES)
        self._known: tuple[Fingerprint, int, MemoryConfig] | None = None

    async def read(self) -> MemoryConfig:
        """The configuration as it is now. Asking for a file's state takes 2 µs; it is read in a thread."""
        if self._known is not None:
            seen, looked_at, config = self._known
            if self._fingerprint(looked_at) == seen:
                return config
        # The state is asked for before the text is read: an edit in between is noticed the next time.
        before = self._fingerprint(len(self._candidates))
        path, config = await asyncio.to_thread(_read, self._home_path)
        looked_at = len(before) if path is None else self._candidates.index(str(path)) + 1
        self._known = (before[:looked_at], looked_at, config)
        return config

    def _fingerprint(self, count: int) -> Fingerprint:
        return tuple([_state(path) for path in self._candidates[:count]])


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # a stat of the home's own disk
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(home_path: Path) -> tuple[Path | None, MemoryConfig]:
    """The configuration in the first file that can be read, and which; defaults when there is none. Blocks on the
    disk.
    """
    found = read_config(home_path)
    return found.path, MemoryConfig.of(found.values)
