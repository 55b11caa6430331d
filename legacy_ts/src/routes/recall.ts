/** `POST /api/memory/recall` and `GET /memory/similar`. */
import type { App } from "../app.ts";
import { roundTo2 } from "../coercion.ts";
import { parseTagsColumn } from "../content.ts";
import type { Daemon } from "../daemon_state.ts";
import { marks } from "../database.ts";
import { readMemoryConfig } from "../memory_config.ts";
import { recall } from "../recall/recall.ts";
import { INVALID_JSON, readJson } from "../request.ts";
import { fromBlob, nearestMemories } from "../vector_table.ts";

interface SimilarRow {
  readonly id: string;
  readonly content: string;
  readonly type: string;
  readonly tags: string | null;
  readonly confidence: number;
  readonly created_at: string;
}

export function recallRoutes(app: App, daemon: Daemon): void {
  const { database, logger, settings } = daemon;

  app.post("/api/memory/recall", async (c) => {
    const request = await readJson(c);
    if (request === "unparsable") return c.json(INVALID_JSON, 400);
    const { body } = request;
    const query = (body.query as string | null | undefined)?.trim() ?? "";
    if (query === "") return c.json({ error: "query is required" }, 400);

    const config = readMemoryConfig(settings.home);
    try {
      const { keywordQuery, limit, type, tags, who, pinned, since, until } = body;
      const agentId = body.agentId ?? c.req.header("x-signet-agent-id") ?? "default";
      const importanceMin = typeof body.importance_min === "number" ? body.importance_min : null;
      const filter = { type, tags, who, pinned, importanceMin, since, until };
      return c.json(await recall(daemon, { query, keywordQuery, limit, agentId, ...filter }, config));
    } catch (error) {
      logger.error("memory", "Recall failed", error);
      return c.json({ error: "Recall failed", results: [] }, 500);
    }
  });

  app.get("/memory/similar", (c) => {
    const id = c.req.query("id");
    if (!id) return c.json({ error: "id is required", results: [] }, 400);
    const count = Number.parseInt(c.req.query("k") ?? "10", 10);
    try {
      const anchor = database.read((connection) =>
        connection.get<{ vector: Uint8Array }>(
          "SELECT vector FROM embeddings WHERE source_type = 'memory' AND source_id = ? LIMIT 1",
          [id],
        ),
      );
      if (!anchor) return c.json({ error: "No embedding found for this memory", results: [] }, 404);
      // One more than asked for: the memory is its own nearest neighbour.
      const near = database.read((connection) =>
        nearestMemories(connection, fromBlob(anchor.vector), count + 1, c.req.query("type")),
      );
      const others = near.filter((neighbour) => neighbour.id !== id).slice(0, count);
      const rows = new Map(loadSimilar(daemon, others.map((neighbour) => neighbour.id)).map((row) => [row.id, row]));
      const results = others.flatMap(({ id: similarId, score }) => {
        const row = rows.get(similarId);
        if (!row) return [];
        const { content, type, tags, confidence, created_at } = row;
        const rounded = roundTo2(score);
        return [{ id: similarId, content, type, tags: parseTagsColumn(tags), score: rounded, confidence, created_at }];
      });
      return c.json({ results });
    } catch (error) {
      logger.error("memory", "Similarity search failed", error);
      return c.json({ error: "Similarity search failed", results: [] }, 500);
    }
  });
}

function loadSimilar({ database }: Daemon, ids: readonly string[]): SimilarRow[] {
  if (ids.length === 0) return [];
  return database.read((connection) =>
    connection.all(
      `SELECT id, content, type, tags, confidence, created_at FROM memories WHERE id IN (${marks(ids)})`,
      ids,
    ),
  );
}
