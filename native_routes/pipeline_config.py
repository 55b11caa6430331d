"""`memory.pipelineV2` of the agent's configuration, every key of it: the routes that show it show the whole.

Booleans and numbers of another type count as absent; numbers are clamped and never rounded. Where a key has an older,
flat name, that name counts when the nested one is absent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from native_routes.javascript.primitives import trim

EXTRACTION_PROVIDERS: Final = ("codex", "opencode", "claude-code", "ollama", "anthropic")
SYNTHESIS_PROVIDERS: Final = ("ollama", "claude-code", "opencode", "anthropic")


def look_up(values: Any, path: str) -> Any:
    """The value at a dotted path; None when a part of the way is missing or no mapping."""
    for key in path.split("."):
        if not isinstance(values, Mapping):
            return None
        values = values.get(key)
    return values


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


class _Section:
    """Reads settings by dotted path with their defaults and ranges; the first of several names that is there counts."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def at(self, path: str) -> Any:
        return look_up(self.values, path)

    def first(self, *paths: str) -> Any:
        return next((value for value in map(self.at, paths) if value is not None), None)

    def flag(self, default: bool, *paths: str) -> bool:
        return next((value for value in map(self.at, paths) if isinstance(value, bool)), default)

    def number(self, default: float, low: float, high: float, *paths: str) -> float:
        """Hundreds of digits are infinite, and no number here."""
        value = self.first(*paths)
        return clamp(value, low, high) if is_number(value) and math.isfinite(value) else default

    def fraction(self, default: float, *paths: str) -> float:
        return self.number(default, 0, 1, *paths)

    def text(self, default: str, path: str) -> str:
        value = self.at(path)
        return value if isinstance(value, str) else default

    def one_of(self, default: str, allowed: Sequence[str], *paths: str) -> str:
        value = self.first(*paths)
        return value if isinstance(value, str) and value in allowed else default

    def optional_text(self, key: str, path: str) -> dict[str, str]:
        value = self.at(path)
        return {key: value} if isinstance(value, str) else {}

    def endpoint(self, *paths: str) -> dict[str, str]:
        """{"endpoint": url} for the first that is not blank, else {}: the key is then missing from the reply too."""
        urls = (trim(value) for value in map(self.at, paths) if isinstance(value, str))
        url = next((url for url in urls if url), None)
        return {} if url is None else {"endpoint": url}


def read_pipeline(raw: Any) -> dict[str, Any]:
    """The whole section as `/api/status` shows it, keys in legacy's order; `raw` may be anything."""
    at = _Section(raw)
    return {
        "enabled": at.flag(True, "enabled"),
        "shadowMode": at.flag(False, "shadowMode"),
        "mutationsFrozen": at.flag(False, "mutationsFrozen"),
        "semanticContradictionEnabled": at.flag(True, "semanticContradictionEnabled"),
        "semanticContradictionTimeoutMs": at.number(45000, 5000, 300000, "semanticContradictionTimeoutMs"),
        "extraction": _extraction(at),
        "worker": {
            "pollMs": at.number(2000, 100, 60000, "worker.pollMs", "workerPollMs"),
            "maxRetries": at.number(3, 1, 10, "worker.maxRetries", "workerMaxRetries"),
            "leaseTimeoutMs": at.number(300000, 10000, 600000, "worker.leaseTimeoutMs", "leaseTimeoutMs"),
        },
        **_ranking(at),
        "autonomous": _autonomous(at),
        "repair": _repair(at),
        "documents": _documents(at),
        "guardrails": {
            "maxContentChars": at.number(500, 50, 100000, "guardrails.maxContentChars"),
            "chunkTargetChars": at.number(300, 50, 50000, "guardrails.chunkTargetChars"),
            "recallTruncateChars": at.number(500, 50, 100000, "guardrails.recallTruncateChars"),
        },
        "continuity": _continuity(at),
        "telemetryEnabled": at.flag(False, "telemetryEnabled"),
        "telemetry": {
            "posthogHost": at.text("", "telemetry.posthogHost"),
            "posthogApiKey": at.text("", "telemetry.posthogApiKey"),
            "flushIntervalMs": at.number(60000, 5000, 600000, "telemetry.flushIntervalMs"),
            "flushBatchSize": at.number(50, 1, 500, "telemetry.flushBatchSize"),
            "retentionDays": at.number(90, 1, 365, "telemetry.retentionDays"),
        },
        "embeddingTracker": {
            "enabled": at.flag(True, "embeddingTracker.enabled"),
            "pollMs": at.number(5000, 1000, 60000, "embeddingTracker.pollMs"),
            "batchSize": at.number(8, 1, 20, "embeddingTracker.batchSize"),
        },
        "synthesis": _synthesis(at),
        "procedural": _procedural(at),
        "structural": {
            "enabled": at.flag(True, "structural.enabled"),
            "classifyBatchSize": at.number(8, 1, 20, "structural.classifyBatchSize"),
            "dependencyBatchSize": at.number(5, 1, 10, "structural.dependencyBatchSize"),
            "pollIntervalMs": at.number(10000, 2000, 120000, "structural.pollIntervalMs"),
        },
        "feedback": _feedback(at),
        "significance": {
            "enabled": at.flag(True, "significance.enabled"),
            "minTurns": at.number(5, 1, 100, "significance.minTurns"),
            "minEntityOverlap": at.number(1, 0, 100, "significance.minEntityOverlap"),
            "noveltyThreshold": at.fraction(0.15, "significance.noveltyThreshold"),
        },
        "predictor": _predictor(at),
        "predictorPipeline": {
            "agentFeedback": at.flag(True, "predictorPipeline.agentFeedback"),
            "trainingTelemetry": at.flag(False, "predictorPipeline.trainingTelemetry"),
        },
        "modelRegistry": {
            "enabled": at.flag(True, "modelRegistry.enabled"),
            "refreshIntervalMs": at.number(3600000, 60000, 86400000, "modelRegistry.refreshIntervalMs"),
        },
    }


def _ranking(at: _Section) -> dict[str, Any]:
    return {
        "graph": {
            "enabled": at.flag(True, "graph.enabled", "graphEnabled"),
            "boostWeight": at.fraction(0.15, "graph.boostWeight", "graphBoostWeight"),
            "boostTimeoutMs": at.number(500, 50, 5000, "graph.boostTimeoutMs", "graphBoostTimeoutMs"),
        },
        "traversal": {
            "enabled": at.flag(True, "traversal.enabled"),
            "maxAspectsPerEntity": at.number(10, 1, 100, "traversal.maxAspectsPerEntity"),
            "maxAttributesPerAspect": at.number(20, 1, 200, "traversal.maxAttributesPerAspect"),
            "maxDependencyHops": at.number(30, 1, 200, "traversal.maxDependencyHops"),
            "minDependencyStrength": at.fraction(0.3, "traversal.minDependencyStrength"),
            "timeoutMs": at.number(500, 50, 5000, "traversal.timeoutMs"),
            "boostWeight": at.fraction(0.2, "traversal.boostWeight"),
            "constraintBudgetChars": at.number(1000, 200, 10000, "traversal.constraintBudgetChars"),
        },
        "reranker": {
            "enabled": at.flag(True, "reranker.enabled", "rerankerEnabled"),
            "model": at.text(at.text("", "rerankerModel"), "reranker.model"),
            "topN": at.number(20, 1, 100, "reranker.topN", "rerankerTopN"),
            "timeoutMs": at.number(2000, 100, 30000, "reranker.timeoutMs", "rerankerTimeoutMs"),
        },
    }


def _extraction(at: _Section) -> dict[str, Any]:
    provider, model = _extraction_model(at)
    return {
        "provider": provider,
        "model": model,
        "strength": at.one_of("low", ("low", "medium", "high"), "extractionStrength", "extraction.strength"),
        **at.endpoint("extraction.endpoint", "extraction.base_url", "extractionEndpoint", "extractionBaseUrl"),
        "timeout": at.number(90000, 5000, 300000, "extraction.timeout", "extractionTimeout"),
        "minConfidence": at.fraction(0.7, "extraction.minConfidence", "minFactConfidenceForWrite"),
        "escalation": {
            "maxNewEntitiesPerChunk": at.number(10, 1, 100, "extraction.escalation.maxNewEntitiesPerChunk"),
            "maxNewAttributesPerEntity": at.number(20, 1, 200, "extraction.escalation.maxNewAttributesPerEntity"),
            "level2MaxEntities": at.number(5, 1, 50, "extraction.escalation.level2MaxEntities"),
        },
    }


def _extraction_model(at: _Section) -> tuple[str, str]:
    """Provider and model are a pair: a flat provider takes the flat model, and a lone flat model means Ollama."""
    flat, nested = at.at("extractionProvider"), at.at("extraction.provider")
    flat_model, nested_model = at.at("extractionModel"), at.at("extraction.model")
    if isinstance(flat, str) and flat in EXTRACTION_PROVIDERS:
        return flat, flat_model if isinstance(flat_model, str) else "haiku"
    if isinstance(nested, str) and nested in EXTRACTION_PROVIDERS:
        return nested, nested_model if isinstance(nested_model, str) else "haiku"
    if not isinstance(flat_model, str):
        return "claude-code", nested_model if isinstance(nested_model, str) else "haiku"
    return "ollama", nested_model if isinstance(nested_model, str) else flat_model


def _autonomous(at: _Section) -> dict[str, Any]:
    interval = ("autonomous.maintenanceIntervalMs", "maintenanceIntervalMs")
    mode = ("autonomous.maintenanceMode", "maintenanceMode")
    return {
        "enabled": at.flag(True, "autonomous.enabled", "autonomousEnabled"),
        "frozen": at.flag(False, "autonomous.frozen", "autonomousFrozen"),
        "allowUpdateDelete": at.flag(True, "autonomous.allowUpdateDelete", "allowUpdateDelete"),
        "maintenanceIntervalMs": at.number(1800000, 60000, 86400000, *interval),
        "maintenanceMode": at.one_of("execute", ("execute", "observe"), *mode),
    }


def _repair(at: _Section) -> dict[str, Any]:
    def number(default: float, low: float, high: float, name: str) -> float:
        return at.number(default, low, high, f"repair.{name}", f"repair{name[0].upper()}{name[1:]}")

    return {
        "reembedCooldownMs": number(300000, 10000, 3600000, "reembedCooldownMs"),
        "reembedHourlyBudget": number(10, 1, 1000, "reembedHourlyBudget"),
        "requeueCooldownMs": number(60000, 5000, 3600000, "requeueCooldownMs"),
        "requeueHourlyBudget": number(50, 1, 1000, "requeueHourlyBudget"),
        "dedupCooldownMs": number(600000, 10000, 3600000, "dedupCooldownMs"),
        "dedupHourlyBudget": number(3, 1, 100, "dedupHourlyBudget"),
        "dedupSemanticThreshold": number(0.92, 0, 1, "dedupSemanticThreshold"),
        "dedupBatchSize": number(100, 10, 1000, "dedupBatchSize"),
    }


def _documents(at: _Section) -> dict[str, Any]:
    return {
        "workerIntervalMs": at.number(10000, 1000, 300000, "documents.workerIntervalMs", "documentWorkerIntervalMs"),
        "chunkSize": at.number(2000, 200, 50000, "documents.chunkSize", "documentChunkSize"),
        "chunkOverlap": at.number(200, 0, 10000, "documents.chunkOverlap", "documentChunkOverlap"),
        "maxContentBytes": at.number(10485760, 1024, 104857600, "documents.maxContentBytes", "documentMaxContentBytes"),
    }


def _continuity(at: _Section) -> dict[str, Any]:
    return {
        "enabled": at.flag(True, "continuity.enabled"),
        "promptInterval": at.number(10, 1, 1000, "continuity.promptInterval"),
        "timeIntervalMs": at.number(900000, 60000, 3600000, "continuity.timeIntervalMs"),
        "maxCheckpointsPerSession": at.number(50, 1, 500, "continuity.maxCheckpointsPerSession"),
        "retentionDays": at.number(7, 1, 90, "continuity.retentionDays"),
        "recoveryBudgetChars": at.number(2000, 200, 10000, "continuity.recoveryBudgetChars"),
    }


def _synthesis(at: _Section) -> dict[str, Any]:
    return {
        "enabled": at.flag(True, "synthesis.enabled"),
        "provider": at.one_of("claude-code", SYNTHESIS_PROVIDERS, "synthesis.provider"),
        "model": at.text("haiku", "synthesis.model"),
        **at.endpoint("synthesis.endpoint", "synthesis.base_url"),
        "timeout": at.number(120000, 5000, 300000, "synthesis.timeout"),
        "maxTokens": at.number(8000, 1000, 32000, "synthesis.maxTokens", "synthesis.max_tokens"),
        "idleGapMinutes": at.number(15, 1, 1440, "synthesis.idleGapMinutes"),
    }


def _procedural(at: _Section) -> dict[str, Any]:
    return {
        "enabled": at.flag(True, "procedural.enabled"),
        "decayRate": at.fraction(0.99, "procedural.decayRate"),
        "minImportance": at.fraction(0.3, "procedural.minImportance"),
        "importanceOnInstall": at.fraction(0.7, "procedural.importanceOnInstall"),
        "enrichOnInstall": at.flag(True, "procedural.enrichOnInstall"),
        "enrichMinDescription": at.number(30, 10, 500, "procedural.enrichMinDescription"),
        "reconcileIntervalMs": at.number(60000, 10000, 600000, "procedural.reconcileIntervalMs"),
    }


def _feedback(at: _Section) -> dict[str, Any]:
    highest = at.fraction(1, "feedback.maxAspectWeight")
    return {
        "enabled": at.flag(True, "feedback.enabled"),
        "ftsWeightDelta": at.fraction(0.02, "feedback.ftsWeightDelta"),
        "maxAspectWeight": highest,
        "minAspectWeight": min(at.fraction(0.1, "feedback.minAspectWeight"), highest),
        "decayEnabled": at.flag(True, "feedback.decayEnabled"),
        "decayRate": at.fraction(0.005, "feedback.decayRate"),
        "staleDays": at.number(14, 1, 365, "feedback.staleDays"),
        "decayIntervalSessions": at.number(10, 1, 1000, "feedback.decayIntervalSessions"),
    }


def _predictor(at: _Section) -> dict[str, Any]:
    return {
        "enabled": at.flag(True, "predictor.enabled"),
        "trainIntervalSessions": at.number(10, 1, 1000, "predictor.trainIntervalSessions"),
        "minTrainingSessions": at.number(10, 1, 1000, "predictor.minTrainingSessions"),
        "scoreTimeoutMs": at.number(120, 10, 10000, "predictor.scoreTimeoutMs"),
        "trainTimeoutMs": at.number(30000, 1000, 120000, "predictor.trainTimeoutMs"),
        "crashDisableThreshold": at.number(3, 1, 20, "predictor.crashDisableThreshold"),
        "rrfK": at.number(12, 1, 100, "predictor.rrfK"),
        "explorationRate": at.fraction(0.05, "predictor.explorationRate"),
        "driftResetWindow": at.number(10, 1, 100, "predictor.driftResetWindow"),
        **at.optional_text("binaryPath", "predictor.binaryPath"),
        **at.optional_text("checkpointPath", "predictor.checkpointPath"),
    }
