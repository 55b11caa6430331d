/** Memories as rows: the list, one of them, and what happened to it. */
import type { App } from "../app.ts";
import { optionalPositiveInteger } from "../coercion.ts";
import type { Daemon } from "../daemon_state.ts";
import { MISSING_MEMORY_ID, memoryId } from "../request.ts";

const DEFAULT_HISTORY_LIMIT = 200;
const MAX_HISTORY_LIMIT = 1000;

// Deleted memories are listed and counted.
const LIST = `
  SELECT id, content, created_at, who, importance, tags, source_type, pinned, type
  FROM memories ORDER BY created_at DESC LIMIT ? OFFSET ?`;
const STATS = `
  SELECT (SELECT COUNT(*) FROM memories) AS total,
         (SELECT COUNT(*) FROM embeddings) AS withEmbeddings,
         (SELECT COUNT(*) FROM memories WHERE importance >= 0.9) AS critical`;
// The schema has no session_id column; clients still expect the key.
const ONE = `
  SELECT id, content, type, importance, tags, pinned, who, source_id, source_type, project, NULL AS session_id,
         confidence, access_count, last_accessed, is_deleted, deleted_at, extraction_status, embedding_model, version,
         created_at, updated_at, updated_by
  FROM memories WHERE id = ? AND (is_deleted = 0 OR is_deleted IS NULL)`;
const HISTORY = `
  SELECT id, event, old_content, new_content, changed_by, reason, metadata, created_at, actor_type, session_id,
         request_id
  FROM memory_history WHERE memory_id = ? ORDER BY created_at LIMIT ?`;

/** Raw column values: text where text was stored in a numeric column. */
type ListRow = Record<string, string | number | null>;

interface HistoryRow {
  readonly id: string;
  readonly event: string;
  readonly old_content: string | null;
  readonly new_content: string | null;
  readonly changed_by: string;
  readonly reason: string | null;
  readonly metadata: string | null;
  readonly created_at: string;
  readonly actor_type: string | null;
  readonly session_id: string | null;
  readonly request_id: string | null;
}

export function memoryReadRoutes(app: App, daemon: Daemon): void {
  const { database, logger } = daemon;

  app.get("/api/memories", (c) => {
    try {
      const limit = Number.parseInt(c.req.query("limit") || "100", 10);
      const offset = Number.parseInt(c.req.query("offset") || "0", 10);
      return c.json(
        database.read((connection) => ({
          memories: connection.all<ListRow>(LIST, [limit, offset]),
          stats: connection.get<Record<string, number>>(STATS),
        })),
      );
    } catch (error) {
      logger.error("memory", "Error loading memories", error);
      const stats = { total: 0, withEmbeddings: 0, critical: 0 };
      return c.json({ memories: [], stats, error: "Failed to load memories" });
    }
  });

  // In the contract this is a route of its own, asked before `:id`. It is not served here.
  app.get("/api/memory/timeline", (c) => c.notFound());

  app.get("/api/memory/:id", (c) => {
    const id = memoryId(c);
    if (id === "") return c.json(MISSING_MEMORY_ID, 400);
    const row = database.read((connection) => connection.get<Record<string, unknown>>(ONE, [id]));
    if (!row) return c.json({ error: "not found" }, 404);
    const { source_id, source_type } = row;
    const fromSession = typeof source_type === "string" && source_type.startsWith("session");
    return c.json({ ...row, ...(fromSession && typeof source_id === "string" && { sessionId: source_id }) });
  });

  app.get("/api/memory/:id/history", (c) => {
    const id = memoryId(c);
    if (id === "") return c.json(MISSING_MEMORY_ID, 400);
    const limit = Math.min(optionalPositiveInteger(c.req.query("limit")) ?? DEFAULT_HISTORY_LIMIT, MAX_HISTORY_LIMIT);
    const known = database.read((connection) => connection.get("SELECT 1 FROM memories WHERE id = ?", [id]));
    if (!known) return c.json({ error: "Not found", memoryId: id }, 404);
    const history = database.read((connection) => connection.all<HistoryRow>(HISTORY, [id, limit]));
    return c.json({ memoryId: id, count: history.length, history: history.map(toHistoryEntry) });
  });
}

function toHistoryEntry(row: HistoryRow): Record<string, unknown> {
  return {
    id: row.id,
    event: row.event,
    oldContent: row.old_content,
    newContent: row.new_content,
    changedBy: row.changed_by,
    // undefined leaves the key out of the JSON.
    actorType: row.actor_type ?? undefined,
    reason: row.reason,
    metadata: parseMetadata(row.metadata),
    createdAt: row.created_at,
    sessionId: row.session_id ?? undefined,
    requestId: row.request_id ?? undefined,
  };
}

function parseMetadata(text: string | null): unknown {
  if (!text) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
