/**
 * `memory.pipelineV2` of agent.yaml, every key of it, because `/api/status` shows the whole. Of these, this daemon
 * acts on `enabled`, `mutationsFrozen`, `guardrails`, `graph`, `traversal` and `reranker`; the rest belongs to workers
 * that it does not have. Booleans and numbers of another type count as absent; numbers are clamped, never rounded.
 */
import { lookUp, type Value } from "./agent_yaml.ts";

export type PipelineConfig = ReturnType<typeof readPipelineConfig>;

const EXTRACTION_PROVIDERS = ["codex", "opencode", "claude-code", "ollama", "anthropic"];
const SYNTHESIS_PROVIDERS = ["ollama", "claude-code", "opencode", "anthropic"];

/** `raw` may be anything; paths are dotted, and a flat old name may follow the nested one. */
export function readPipelineConfig(raw: Value | undefined) {
  const at = (path: string): Value | undefined => lookUp(raw, ...path.split("."));
  const first = (paths: readonly string[]): Value | undefined =>
    paths.map(at).find((value) => value !== undefined && value !== null);

  const flag = (fallback: boolean, ...paths: string[]): boolean =>
    paths.map(at).find((value) => typeof value === "boolean") ?? fallback;
  const number = (fallback: number, min: number, max: number, ...paths: string[]): number => {
    const value = first(paths);
    return typeof value === "number" ? Math.max(min, Math.min(max, value)) : fallback;
  };
  const fraction = (fallback: number, ...paths: string[]): number => number(fallback, 0, 1, ...paths);
  const text = (fallback: string, ...paths: string[]): string =>
    paths.map(at).find((value) => typeof value === "string") ?? fallback;
  const optionalText = (key: string, path: string): Record<string, string> => {
    const value = at(path);
    return typeof value === "string" ? { [key]: value } : {};
  };
  const endpoint = (...paths: string[]): { endpoint?: string } => {
    const urls = paths.map(at).map((value) => (typeof value === "string" ? value.trim() : ""));
    const url = urls.find((candidate) => candidate !== "");
    return url === undefined ? {} : { endpoint: url };
  };
  const oneOf = (fallback: string, allowed: readonly string[], value: Value | undefined): string =>
    typeof value === "string" && allowed.includes(value) ? value : fallback;

  const maxAspectWeight = fraction(1, "feedback.maxAspectWeight");

  return {
    enabled: flag(true, "enabled"),
    shadowMode: flag(false, "shadowMode"),
    mutationsFrozen: flag(false, "mutationsFrozen"),
    semanticContradictionEnabled: flag(true, "semanticContradictionEnabled"),
    semanticContradictionTimeoutMs: number(45000, 5000, 300000, "semanticContradictionTimeoutMs"),
    extraction: {
      ...extractionModel(at),
      strength: oneOf("low", ["low", "medium", "high"], first(["extractionStrength", "extraction.strength"])),
      ...endpoint("extraction.endpoint", "extraction.base_url", "extractionEndpoint", "extractionBaseUrl"),
      timeout: number(90000, 5000, 300000, "extraction.timeout", "extractionTimeout"),
      minConfidence: fraction(0.7, "extraction.minConfidence", "minFactConfidenceForWrite"),
      escalation: {
        maxNewEntitiesPerChunk: number(10, 1, 100, "extraction.escalation.maxNewEntitiesPerChunk"),
        maxNewAttributesPerEntity: number(20, 1, 200, "extraction.escalation.maxNewAttributesPerEntity"),
        level2MaxEntities: number(5, 1, 50, "extraction.escalation.level2MaxEntities"),
      },
    },
    worker: {
      pollMs: number(2000, 100, 60000, "worker.pollMs", "workerPollMs"),
      maxRetries: number(3, 1, 10, "worker.maxRetries", "workerMaxRetries"),
      leaseTimeoutMs: number(300000, 10000, 600000, "worker.leaseTimeoutMs", "leaseTimeoutMs"),
    },
    graph: {
      enabled: flag(true, "graph.enabled", "graphEnabled"),
      boostWeight: fraction(0.15, "graph.boostWeight", "graphBoostWeight"),
      boostTimeoutMs: number(500, 50, 5000, "graph.boostTimeoutMs", "graphBoostTimeoutMs"),
    },
    traversal: {
      enabled: flag(true, "traversal.enabled"),
      maxAspectsPerEntity: number(10, 1, 100, "traversal.maxAspectsPerEntity"),
      maxAttributesPerAspect: number(20, 1, 200, "traversal.maxAttributesPerAspect"),
      maxDependencyHops: number(30, 1, 200, "traversal.maxDependencyHops"),
      minDependencyStrength: fraction(0.3, "traversal.minDependencyStrength"),
      timeoutMs: number(500, 50, 5000, "traversal.timeoutMs"),
      boostWeight: fraction(0.2, "traversal.boostWeight"),
      constraintBudgetChars: number(1000, 200, 10000, "traversal.constraintBudgetChars"),
    },
    reranker: {
      enabled: flag(true, "reranker.enabled", "rerankerEnabled"),
      model: text("", "reranker.model", "rerankerModel"),
      topN: number(20, 1, 100, "reranker.topN", "rerankerTopN"),
      timeoutMs: number(2000, 100, 30000, "reranker.timeoutMs", "rerankerTimeoutMs"),
    },
    autonomous: {
      enabled: flag(true, "autonomous.enabled", "autonomousEnabled"),
      frozen: flag(false, "autonomous.frozen", "autonomousFrozen"),
      allowUpdateDelete: flag(true, "autonomous.allowUpdateDelete", "allowUpdateDelete"),
      maintenanceIntervalMs: number(
        1800000, 60000, 86400000, "autonomous.maintenanceIntervalMs", "maintenanceIntervalMs",
      ),
      maintenanceMode: oneOf(
        "execute", ["execute", "observe"], first(["autonomous.maintenanceMode", "maintenanceMode"]),
      ),
    },
    repair: {
      reembedCooldownMs: number(300000, 10000, 3600000, "repair.reembedCooldownMs", "repairReembedCooldownMs"),
      reembedHourlyBudget: number(10, 1, 1000, "repair.reembedHourlyBudget", "repairReembedHourlyBudget"),
      requeueCooldownMs: number(60000, 5000, 3600000, "repair.requeueCooldownMs", "repairRequeueCooldownMs"),
      requeueHourlyBudget: number(50, 1, 1000, "repair.requeueHourlyBudget", "repairRequeueHourlyBudget"),
      dedupCooldownMs: number(600000, 10000, 3600000, "repair.dedupCooldownMs", "repairDedupCooldownMs"),
      dedupHourlyBudget: number(3, 1, 100, "repair.dedupHourlyBudget", "repairDedupHourlyBudget"),
      dedupSemanticThreshold: fraction(0.92, "repair.dedupSemanticThreshold", "repairDedupSemanticThreshold"),
      dedupBatchSize: number(100, 10, 1000, "repair.dedupBatchSize", "repairDedupBatchSize"),
    },
    documents: {
      workerIntervalMs: number(10000, 1000, 300000, "documents.workerIntervalMs", "documentWorkerIntervalMs"),
      chunkSize: number(2000, 200, 50000, "documents.chunkSize", "documentChunkSize"),
      chunkOverlap: number(200, 0, 10000, "documents.chunkOverlap", "documentChunkOverlap"),
      maxContentBytes: number(10485760, 1024, 104857600, "documents.maxContentBytes", "documentMaxContentBytes"),
    },
    guardrails: {
      maxContentChars: number(500, 50, 100000, "guardrails.maxContentChars"),
      chunkTargetChars: number(300, 50, 50000, "guardrails.chunkTargetChars"),
      recallTruncateChars: number(500, 50, 100000, "guardrails.recallTruncateChars"),
    },
    continuity: {
      enabled: flag(true, "continuity.enabled"),
      promptInterval: number(10, 1, 1000, "continuity.promptInterval"),
      timeIntervalMs: number(900000, 60000, 3600000, "continuity.timeIntervalMs"),
      maxCheckpointsPerSession: number(50, 1, 500, "continuity.maxCheckpointsPerSession"),
      retentionDays: number(7, 1, 90, "continuity.retentionDays"),
      recoveryBudgetChars: number(2000, 200, 10000, "continuity.recoveryBudgetChars"),
    },
    telemetryEnabled: flag(false, "telemetryEnabled"),
    telemetry: {
      posthogHost: text("", "telemetry.posthogHost"),
      posthogApiKey: text("", "telemetry.posthogApiKey"),
      flushIntervalMs: number(60000, 5000, 600000, "telemetry.flushIntervalMs"),
      flushBatchSize: number(50, 1, 500, "telemetry.flushBatchSize"),
      retentionDays: number(90, 1, 365, "telemetry.retentionDays"),
    },
    embeddingTracker: {
      enabled: flag(true, "embeddingTracker.enabled"),
      pollMs: number(5000, 1000, 60000, "embeddingTracker.pollMs"),
      batchSize: number(8, 1, 20, "embeddingTracker.batchSize"),
    },
    synthesis: {
      enabled: flag(true, "synthesis.enabled"),
      provider: oneOf("claude-code", SYNTHESIS_PROVIDERS, at("synthesis.provider")),
      model: text("haiku", "synthesis.model"),
      ...endpoint("synthesis.endpoint", "synthesis.base_url"),
      timeout: number(120000, 5000, 300000, "synthesis.timeout"),
      maxTokens: number(8000, 1000, 32000, "synthesis.maxTokens", "synthesis.max_tokens"),
      idleGapMinutes: number(15, 1, 1440, "synthesis.idleGapMinutes"),
    },
    procedural: {
      enabled: flag(true, "procedural.enabled"),
      decayRate: fraction(0.99, "procedural.decayRate"),
      minImportance: fraction(0.3, "procedural.minImportance"),
      importanceOnInstall: fraction(0.7, "procedural.importanceOnInstall"),
      enrichOnInstall: flag(true, "procedural.enrichOnInstall"),
      enrichMinDescription: number(30, 10, 500, "procedural.enrichMinDescription"),
      reconcileIntervalMs: number(60000, 10000, 600000, "procedural.reconcileIntervalMs"),
    },
    structural: {
      enabled: flag(true, "structural.enabled"),
      classifyBatchSize: number(8, 1, 20, "structural.classifyBatchSize"),
      dependencyBatchSize: number(5, 1, 10, "structural.dependencyBatchSize"),
      pollIntervalMs: number(10000, 2000, 120000, "structural.pollIntervalMs"),
    },
    feedback: {
      enabled: flag(true, "feedback.enabled"),
      ftsWeightDelta: fraction(0.02, "feedback.ftsWeightDelta"),
      maxAspectWeight,
      minAspectWeight: Math.min(fraction(0.1, "feedback.minAspectWeight"), maxAspectWeight),
      decayEnabled: flag(true, "feedback.decayEnabled"),
      decayRate: fraction(0.005, "feedback.decayRate"),
      staleDays: number(14, 1, 365, "feedback.staleDays"),
      decayIntervalSessions: number(10, 1, 1000, "feedback.decayIntervalSessions"),
    },
    significance: {
      enabled: flag(true, "significance.enabled"),
      minTurns: number(5, 1, 100, "significance.minTurns"),
      minEntityOverlap: number(1, 0, 100, "significance.minEntityOverlap"),
      noveltyThreshold: fraction(0.15, "significance.noveltyThreshold"),
    },
    predictor: {
      enabled: flag(true, "predictor.enabled"),
      trainIntervalSessions: number(10, 1, 1000, "predictor.trainIntervalSessions"),
      minTrainingSessions: number(10, 1, 1000, "predictor.minTrainingSessions"),
      scoreTimeoutMs: number(120, 10, 10000, "predictor.scoreTimeoutMs"),
      trainTimeoutMs: number(30000, 1000, 120000, "predictor.trainTimeoutMs"),
      crashDisableThreshold: number(3, 1, 20, "predictor.crashDisableThreshold"),
      rrfK: number(12, 1, 100, "predictor.rrfK"),
      explorationRate: fraction(0.05, "predictor.explorationRate"),
      driftResetWindow: number(10, 1, 100, "predictor.driftResetWindow"),
      ...optionalText("binaryPath", "predictor.binaryPath"),
      ...optionalText("checkpointPath", "predictor.checkpointPath"),
    },
    predictorPipeline: {
      agentFeedback: flag(true, "predictorPipeline.agentFeedback"),
      trainingTelemetry: flag(false, "predictorPipeline.trainingTelemetry"),
    },
    modelRegistry: {
      enabled: flag(true, "modelRegistry.enabled"),
      refreshIntervalMs: number(3600000, 60000, 86400000, "modelRegistry.refreshIntervalMs"),
    },
  };
}

/** Provider and model are a pair: a flat provider takes the flat model, and a lone flat model means Ollama. */
function extractionModel(at: (path: string) => Value | undefined): { provider: string; model: string } {
  const isProvider = (value: Value | undefined): value is string =>
    typeof value === "string" && EXTRACTION_PROVIDERS.includes(value);
  const asModel = (value: Value | undefined): string => (typeof value === "string" ? value : "haiku");

  const [flat, nested] = [at("extractionProvider"), at("extraction.provider")];
  const [flatModel, nestedModel] = [at("extractionModel"), at("extraction.model")];
  if (isProvider(flat)) return { provider: flat, model: asModel(flatModel) };
  if (isProvider(nested)) return { provider: nested, model: asModel(nestedModel) };
  if (typeof flatModel !== "string") return { provider: "claude-code", model: asModel(nestedModel) };
  return { provider: "ollama", model: typeof nestedModel === "string" ? nestedModel : flatModel };
}
