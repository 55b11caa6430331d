/** `POST /api/memory/remember` and its two aliases, which post to it over the network like any client. */
import type { App } from "../app.ts";
import { chunkBySentence, inferType, normalizeContent, type ParsedContent, parsePrefixes } from "../content.ts";
import type { Daemon } from "../daemon_state.ts";
import { readMemoryConfig } from "../memory_config.ts";
import type { Attributes, StoredMemory } from "../memory_writes.ts";
import { storeChunks, storeMemory } from "../remember.ts";
import { INVALID_JSON, type JsonObject, readJson } from "../request.ts";

const CONTENT_REQUIRED = { error: "content is required" } as const;

export function rememberRoutes(app: App, daemon: Daemon): void {
  const { settings, logger } = daemon;

  app.post("/api/memory/remember", async (c) => {
    const request = await readJson(c);
    if (request === "unparsable") return c.json(INVALID_JSON, 400);
    const { body } = request;
    // Content that is neither text nor missing has no trim, and the request fails as a whole.
    const raw = (body.content as string | null | undefined)?.trim();
    if (!raw) return c.json(CONTENT_REQUIRED, 400);

    const { pipeline, embedding } = readMemoryConfig(settings.home);
    if (pipeline.mutationsFrozen) return c.json({ error: "Mutations are frozen (kill switch active)" }, 503);

    const parsed = parsePrefixes(raw);
    const attributes = readAttributes(body, parsed);
    const sourceType = trimmed(body.sourceType) || "manual";
    const sourceId = trimmed(body.sourceId) || null;
    const extract = pipeline.enabled;

    if (raw.length > pipeline.guardrails.maxContentChars) {
      const chunks = chunkBySentence(raw, pipeline.guardrails.chunkTargetChars);
      if (chunks.length === 0) return c.json({ error: "content produced no valid chunks" }, 400);
      try {
        const { groupId, ids } = await storeChunks(daemon, chunks, { attributes, embedding, extract });
        return c.json({ chunked: true, chunk_count: ids.length, ids, group_id: groupId });
      } catch (error) {
        logger.error("memory", "Failed to create chunk group entity", error);
        return c.json({ error: "Failed to create chunk group" }, 500);
      }
    }

    const content = normalizeContent(parsed.content);
    if (content.storage === "") return c.json(CONTENT_REQUIRED, 400);
    const id = crypto.randomUUID();
    const type = inferType(parsed.content);
    const createdAt = new Date().toISOString();
    const stored = await storeMemory(
      daemon,
      { ...attributes, id, content, type, sourceType, sourceId, createdAt, extract },
      () => readMemoryConfig(settings.home).embedding,
    );
    if ("failed" in stored) {
      logger.error("memory", "Failed to save memory", stored.failed);
      return c.json({ error: "Failed to save memory" }, 500);
    }
    if ("duplicateOf" in stored) return c.json(describeDuplicate(stored.duplicateOf));
    const { tags, pinned, importance } = attributes;
    return c.json({ id, type, tags, pinned, importance, content: content.storage, embedded: stored.embedded });
  });

  // No credentials are passed on: in team mode the inner request is refused, and so is the outer one.
  const relay = (body: unknown): Promise<Response> =>
    fetch(`http://${settings.selfHost}:${settings.port}/api/memory/remember`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  for (const alias of ["/api/memory/save", "/api/hook/remember"]) {
    app.post(alias, async (c) => {
      const request = await readJson(c);
      return relay(request === "unparsable" ? {} : request.body);
    });
  }
}

/** The body's fields win over prefixes in the text, whatever their type; any truthy `pinned` pins. */
function readAttributes(body: JsonObject, parsed: ParsedContent): Attributes {
  return {
    who: body.who ?? "daemon",
    project: body.project ?? null,
    importance: body.importance ?? parsed.importance,
    tags: body.tags ?? parsed.tags,
    pinned: Boolean(body.pinned ?? parsed.pinned),
  };
}

function trimmed(value: unknown): string | undefined {
  return (value as string | null | undefined)?.trim();
}

/** `embedded` is always true here, and missing tags are "": clients know duplicates by `deduped`. */
function describeDuplicate({ id, type, tags, pinned, importance, content }: StoredMemory): Record<string, unknown> {
  return { id, type, tags: tags || "", pinned: Boolean(pinned), importance, content, embedded: true, deduped: true };
}
