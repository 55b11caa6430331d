/**
 * Text to vector, by the provider that agent.yaml names. Never throws: without a vector a memory is stored all the same
 * and found by keyword. There is no in-process model here, so `native` can only fall back to a local Ollama.
 */
import type { Logger } from "./logger.ts";
import { DEFAULT_OPENAI_URL, type EmbeddingConfig } from "./memory_config.ts";

const TIMEOUT_MS = 30_000;
const FALLBACK_URL = "http://localhost:11434";
const FALLBACK_MODEL = "nomic-embed-text";

export type Vector = readonly number[];
export type Embed = (text: string, config: EmbeddingConfig) => Promise<Vector | null>;

export function createEmbedder(logger: Logger): Embed {
  return async (text, config) => {
    try {
      switch (config.provider) {
        case "none":
          return null;
        case "native":
          return await embedWithFallback(text, logger);
        case "ollama":
          return await askOllama(text, config.baseUrl, config.model, logger);
        default:
          return await askOpenAI(text, config, logger);
      }
    } catch (error) {
      logger.warn("embedding", "Embedding fetch error", {
        provider: config.provider,
        model: config.model,
        error: error instanceof Error ? error.message : String(error),
      });
      return null;
    }
  };
}

async function embedWithFallback(text: string, logger: Logger): Promise<Vector | null> {
  try {
    const vector = await askOllama(text, FALLBACK_URL, FALLBACK_MODEL, logger);
    if (vector !== null) return vector;
  } catch {
    // Nothing listens there: the usual case, and said below.
  }
  logger.warn("embedding", "This daemon has no native embedding, and no local Ollama answered: no vector");
  return null;
}

async function askOllama(text: string, baseUrl: string, model: unknown, logger: Logger): Promise<Vector | null> {
  const reply = await postJson(`${withoutTrailingSlash(baseUrl)}/api/embeddings`, { model, prompt: text }, {});
  if (!reply.ok) {
    logger.warn("embedding", "Ollama embedding request failed", { status: reply.status, model });
    return null;
  }
  return ((await reply.json()) as { embedding?: Vector }).embedding ?? null;
}

async function askOpenAI(text: string, config: EmbeddingConfig, logger: Logger): Promise<Vector | null> {
  const apiKey = resolveApiKey(config.apiKey);
  const baseUrl = config.provider === "openai" ? config.baseUrl.trim() || DEFAULT_OPENAI_URL : config.baseUrl;
  if (apiKey === "" && isOpenAIItself(baseUrl)) {
    logger.warn("embedding", "No API key for api.openai.com: no embedding was asked for");
    return null;
  }
  const reply = await postJson(
    `${withoutTrailingSlash(baseUrl)}/embeddings`,
    { model: config.model, input: text },
    apiKey === "" ? {} : { Authorization: `Bearer ${apiKey}` },
  );
  if (!reply.ok) {
    const { provider, model } = config;
    logger.warn("embedding", "Embedding API request failed", { status: reply.status, provider, model });
    return null;
  }
  return ((await reply.json()) as { data?: { embedding?: Vector }[] }).data?.[0]?.embedding ?? null;
}

function postJson(url: string, body: unknown, headers: Record<string, string>): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
}

function resolveApiKey(configured: unknown): string {
  if (configured !== undefined && configured !== null && typeof configured !== "string") {
    throw new Error("embedding.api_key must be text");
  }
  const key = configured?.trim() ?? "";
  if (key.startsWith("$secret:") || key.startsWith("op://")) {
    throw new Error("embedding.api_key names a stored secret; this daemon has no secret store");
  }
  return key || (process.env.OPENAI_API_KEY ?? "");
}

function isOpenAIItself(url: string): boolean {
  return URL.canParse(url.trim()) && new URL(url.trim()).hostname === "api.openai.com";
}

function withoutTrailingSlash(url: string): string {
  return url.replace(/\/$/, "");
}
