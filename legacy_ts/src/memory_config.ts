/** The parts of agent.yaml that memory requests depend on; read again for each, so edits take effect at once. */
import { lookUp, type Mapping, readAgentYaml, type Value } from "./agent_yaml.ts";
import { type AuthConfig, readAuthConfig } from "./auth/config.ts";
import { type PipelineConfig, readPipelineConfig } from "./pipeline_config.ts";

const DEFAULT_OLLAMA_URL = "http://localhost:11434";
export const DEFAULT_OPENAI_URL = "https://api.openai.com/v1";

export interface EmbeddingConfig {
  /** native, ollama, openai, none; any other value is treated as OpenAI-compatible. */
  readonly provider: Value;
  readonly model: Value;
  /** NaN when the setting is not a number: then no vector ever has the right length. */
  readonly dimensions: number;
  readonly baseUrl: string;
  readonly apiKey: Value | undefined;
}

export interface SearchConfig {
  readonly alpha: number;
  readonly topK: number;
  readonly minScore: number;
  readonly rehearsal: { readonly enabled: boolean; readonly weight: number; readonly halfLifeDays: number };
}

export interface MemoryConfig {
  readonly embedding: EmbeddingConfig;
  readonly search: SearchConfig;
  readonly pipeline: PipelineConfig;
  readonly auth: AuthConfig;
}

export function readMemoryConfig(home: string): MemoryConfig {
  const yaml = readAgentYaml(home, ["agent.yaml", "AGENT.yaml", "config.yaml"]) ?? {};
  return {
    embedding: readEmbedding(yaml),
    search: readSearch(yaml.search),
    pipeline: readPipelineConfig(lookUp(yaml, "memory", "pipelineV2")),
    auth: readAuthConfig(yaml.auth),
  };
}

function readEmbedding(yaml: Mapping): EmbeddingConfig {
  const section = yaml.embedding ?? lookUp(yaml, "memory", "embeddings") ?? yaml.embeddings ?? {};
  const provider = lookUp(section, "provider");
  const defaults = { model: "nomic-embed-text-v1.5", dimensions: 768, baseUrl: "", apiKey: undefined };
  if (provider === "none") return { provider, ...defaults };
  if (!provider) return { provider: "native", ...defaults };

  const [baseUrl, endpoint] = [lookUp(section, "base_url"), lookUp(section, "endpoint")];
  const url = typeof baseUrl === "string" ? baseUrl : typeof endpoint === "string" ? endpoint : "";
  const fallbackUrl = provider === "ollama" ? DEFAULT_OLLAMA_URL : provider === "openai" ? DEFAULT_OPENAI_URL : url;
  return {
    provider,
    model: lookUp(section, "model") ?? defaults.model,
    dimensions: Number.parseInt(String(lookUp(section, "dimensions") ?? defaults.dimensions), 10),
    baseUrl: url.trim() === "" ? fallbackUrl : url,
    apiKey: lookUp(section, "api_key"),
  };
}

function readSearch(section: Value | undefined): SearchConfig {
  const alpha = lookUp(section, "alpha");
  const enabled = lookUp(section, "rehearsal_enabled");
  const weight = lookUp(section, "rehearsal_weight");
  const halfLife = lookUp(section, "rehearsal_half_life_days");
  return {
    // Setting alpha is what makes the other two settings count, and changes the default of min_score.
    ...(alpha === undefined
      ? { alpha: 0.7, topK: 20, minScore: 0.1 }
      : {
          alpha: Number.parseFloat(String(alpha)),
          topK: Number.parseInt(String(lookUp(section, "top_k") ?? 20), 10),
          minScore: Number.parseFloat(String(lookUp(section, "min_score") ?? 0.3)),
        }),
    rehearsal: {
      enabled: enabled === undefined || enabled === true,
      weight: typeof weight === "number" ? Math.max(0, Math.min(1, weight)) : 0.1,
      halfLifeDays: typeof halfLife === "number" ? Math.max(1, halfLife) : 30,
    },
  };
}
