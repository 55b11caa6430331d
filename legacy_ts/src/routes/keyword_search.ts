/** `GET /memory/search`: keyword search in raw FTS5 syntax, or a list by filters. Deleted memories are found too. */
import type { App } from "../app.ts";
import type { Connection } from "../database.ts";
import type { Daemon } from "../daemon_state.ts";
import { type Filter, filterClause } from "../filter.ts";
import type { RequestContext } from "../request.ts";

const COLUMNS = "m.id, m.content, m.created_at, m.who, m.importance, m.tags, m.type, m.pinned";
const DEFAULT_MATCHES = 20;
const DEFAULT_LISTED = 50;

export function keywordSearchRoutes(app: App, daemon: Daemon): void {
  const { database, logger } = daemon;

  app.get("/memory/search", (c) => {
    if (c.req.query("distinct") === "who") return c.json({ values: listWho(daemon) });
    try {
      return c.json({ results: database.read((connection) => search(connection, c)) });
    } catch (error) {
      logger.error("memory", "Error searching memories", error);
      return c.json({ results: [], error: "Search failed" });
    }
  });
}

function listWho({ database }: Daemon): unknown[] {
  try {
    const sql = "SELECT DISTINCT who FROM memories WHERE who IS NOT NULL ORDER BY who";
    return database.read((connection) => connection.all<{ who: unknown }>(sql)).map((row) => row.who);
  } catch {
    return [];
  }
}

function search(connection: Connection, c: RequestContext): unknown[] {
  const query = c.req.query("q") ?? "";
  const filter = readFilter(c);
  // Part of the SQL text, so that NaN and numbers too large for SQLite fail the whole search, as clients know it.
  const limitText = c.req.query("limit");
  const limit = limitText ? Number.parseInt(limitText, 10) : null;
  const { sql, bindings } = filterClause(filter);

  if (query.trim() !== "") {
    try {
      return connection.all(
        `SELECT ${COLUMNS}, bm25(memories_fts) AS score
         FROM memories_fts JOIN memories m ON m.rowid = memories_fts.rowid
         WHERE memories_fts MATCH ?${sql} ORDER BY score LIMIT ${limit ?? DEFAULT_MATCHES}`,
        [query, ...bindings],
      );
    } catch {
      // Not FTS5 syntax: look for the text itself.
      return connection.all(
        `SELECT ${COLUMNS} FROM memories m
         WHERE (m.content LIKE ? OR m.tags LIKE ?)${sql}
         ORDER BY m.created_at DESC LIMIT ${limit ?? DEFAULT_MATCHES}`,
        [`%${query}%`, `%${query}%`, ...bindings],
      );
    }
  }
  const isFiltered = Object.values(filter).some((value) => value !== "" && value !== false && value !== null);
  if (!isFiltered) return [];
  // Importance fades by 5 % per whole day, to a tenth at least; pinned memories do not fade.
  return connection.all(
    `SELECT ${COLUMNS},
       CASE WHEN m.pinned = 1 THEN 1.0
            ELSE m.importance * MAX(0.1, POWER(0.95, CAST(JULIANDAY('now') - JULIANDAY(m.created_at) AS INTEGER)))
       END AS score
     FROM memories m WHERE 1 = 1${sql} ORDER BY score DESC LIMIT ${limit ?? DEFAULT_LISTED}`,
    bindings,
  );
}

function readFilter(c: RequestContext): Filter {
  const pinned = c.req.query("pinned");
  const importance = c.req.query("importance_min");
  return {
    type: c.req.query("type") ?? "",
    tags: c.req.query("tags") ?? "",
    who: c.req.query("who") ?? "",
    pinned: pinned === "1" || pinned === "true",
    importanceMin: importance ? Number.parseFloat(importance) : null,
    since: c.req.query("since") ?? "",
  };
}
