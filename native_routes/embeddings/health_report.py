"""Seven checks of the embeddings, and the score that they make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from native_routes.database import Connection
from native_routes.embeddings import queries
from native_routes.javascript.primitives import Undefined, number_text, undefined
from native_routes.javascript.values import shown
from native_routes.memory_config import EmbeddingConfig
from native_routes.query import Query
from native_routes.searching.embedding_provider import ProviderStatus
from native_routes.stored_values import as_json, bytes_text

WEIGHTS: Final = {
    "provider-available": 0.30,
    "coverage": 0.25,
    "dimension-mismatch": 0.15,
    "model-drift": 0.10,
    "null-vectors": 0.08,
    "vec-table-sync": 0.07,
    "orphaned-embeddings": 0.05,
}
COVERED: Final = 0.95
NEARLY_COVERED: Final = 0.8
HEALTHY: Final = 0.8
DEGRADED: Final = 0.5
_WORTH: Final = {"ok": 1.0, "warn": 0.5, "fail": 0.0}
_PROVIDER_FIXES: Final = {
    "native": "Check disk space and network connectivity for initial model download",
    "ollama": "Start ollama with `ollama serve` or check that the model is pulled",
}
_OTHER_PROVIDER_FIX: Final = "Verify your OpenAI API key and network connectivity"
_REEMBED: Final = "Run re-embed repair to backfill missing embeddings"


@dataclass(frozen=True, slots=True)
class Check:
    """`detail` and `fix` are left out of the reply when undefined."""

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str
    detail: dict[str, Any] | Undefined = undefined
    fix: str | Undefined = undefined

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self.status,
            "message": self.message,
            "detail": self.detail,
            "fix": self.fix,
        }


def checks(connection: Connection, config: EmbeddingConfig, provider: ProviderStatus) -> list[Check]:
    """In legacy's order. Raises DatabaseError, where there is no table of vectors too: legacy's daemon fails there."""
    return [
        _provider(provider),
        _coverage(connection),
        _dimensions(connection, config.dimensions),
        _models(connection),
        _without_vector(connection),
        _in_step(connection),
        _orphans(connection),
    ]


def report(found: Sequence[Check], config: EmbeddingConfig, checked_at: str) -> dict[str, Any]:
    score = 0.0
    for check in found:
        score += _WORTH[check.status] * WEIGHTS[check.name]  # in this order: the last digits depend on it
    score = max(0.0, min(1.0, score))
    return {
        "status": "healthy" if score >= HEALTHY else "degraded" if score >= DEGRADED else "unhealthy",
        "score": math.floor(score * 1000 + 0.5) / 1000,
        "checkedAt": checked_at,
        "config": {"provider": config.provider, "model": config.model, "dimensions": config.dimensions},
        "checks": [check.as_json() for check in found],
    }


def _provider(status: ProviderStatus) -> Check:
    name = "provider-available"
    if status.available:
        return Check(name, "ok", f"{shown(status.provider)} ({shown(status.model)}) is reachable")
    named = status.provider if isinstance(status.provider, str) else ""
    return Check(
        name,
        "fail",
        status.error if isinstance(status.error, str) else f"{shown(status.provider)} is not reachable",
        {"provider": status.provider, "base_url": status.base_url, "error": status.error},
        _PROVIDER_FIXES.get(named, _OTHER_PROVIDER_FIX),
    )


def _coverage(connection: Connection) -> Check:
    total = _count(connection, queries.ACTIVE)
    if total == 0:
        return Check("coverage", "ok", "No active memories to embed", {"total": 0, "embedded": 0, "coverage": 1})
    embedded = _count(connection, queries.ACTIVE_EMBEDDED)
    coverage = embedded / total
    missing, percent = total - embedded, math.floor(coverage * 1000 + 0.5) / 10
    detail = {"total": total, "embedded": embedded, "unembedded": missing, "coverage": percent}
    if coverage >= COVERED:
        return Check("coverage", "ok", f"{number_text(percent)}% of memories have embeddings", detail)
    message = f"{number_text(percent)}% coverage — {missing} memories missing embeddings"
    return Check("coverage", "warn" if coverage >= NEARLY_COVERED else "fail", message, detail, _REEMBED)


def _dimensions(connection: Connection, expected: float) -> Check:
    """A text that looks like the expected number is another value."""
    name = "dimension-mismatch"
    found = [row.dimensions for row in queries.DIMENSIONS.all(connection)]
    if not found:
        return Check(name, "ok", "No embeddings to check")
    if all(isinstance(value, int | float) and value == expected for value in found):
        return Check(name, "ok", f"All embeddings are {shown(expected)}-dimensional")
    return Check(
        name,
        "fail",
        f"Found dimensions [{_joined(found)}] but config expects {shown(expected)}",
        {"expected": expected, "found": [as_json(value) for value in found]},
        "Re-embed affected memories with the correct model/dimensions",
    )


def _models(connection: Connection) -> Check:
    found = [row.embedding_model for row in queries.MODELS.all(connection)]
    if len(found) > 1:
        return Check(
            "model-drift",
            "warn",
            f"Mixed embedding models: {_joined(found)}",
            {"models": [as_json(value) for value in found]},
            "Re-embed older memories to unify to the current model",
        )
    message = f"All memories use {_joined(found)}" if found else "No embedding models recorded"
    return Check("model-drift", "ok", message)


def _without_vector(connection: Connection) -> Check:
    count = _count(connection, queries.WITHOUT_VECTOR)
    if count == 0:
        return Check("null-vectors", "ok", "No null or empty vectors found")
    message, fix = f"{count} embedding(s) have null or empty vectors", "Run re-embed repair to regenerate these vectors"
    return Check("null-vectors", "fail", message, {"count": count}, fix)


def _in_step(connection: Connection) -> Check:
    name = "vec-table-sync"
    embeddings, vectors = _count(connection, queries.EMBEDDINGS), _count(connection, queries.VECTORS)
    if embeddings == vectors:
        return Check(name, "ok", f"embeddings ({embeddings}) and vec_embeddings ({vectors}) are in sync")
    return Check(
        name,
        "warn",
        f"embeddings has {embeddings} rows but vec_embeddings has {vectors}",
        {"embeddings": embeddings, "vecEmbeddings": vectors},
        "Run embedding repair to resync the vector index",
    )


def _orphans(connection: Connection) -> Check:
    count = _count(connection, queries.ORPHANS)
    if count == 0:
        return Check("orphaned-embeddings", "ok", "No orphaned embeddings found")
    message = f"{count} embedding(s) point to deleted or missing memories"
    fix = "Clean orphaned embeddings to reclaim space"
    return Check("orphaned-embeddings", "warn", message, {"count": count}, fix)


def _count(connection: Connection, query: Query[queries.Count]) -> int:
    counted = query.one(connection)
    return counted.n if counted is not None else 0


def _joined(values: Sequence[queries.Stored]) -> str:
    """`values.join(", ")`, where null is nothing and bytes are their numbers."""
    return ", ".join(
        "" if value is None else bytes_text(value) if isinstance(value, bytes) else shown(value) for value in values
    )
