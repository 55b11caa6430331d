/** Keyword candidates by BM25. */
import type { Connection } from "../database.ts";

/** Words as FTS5 phrases, all of which must occur; the bare words OR, AND and NOT stay operators. */
export function toMatchExpression(text: string): string {
  return text
    .split(/\s+/)
    .map((word) => {
      if (word === "OR" || word === "AND" || word === "NOT") return word;
      const bare = word.replace(/[":()^*]/g, "").trim();
      return bare === "" ? "" : `"${bare}"`;
    })
    .filter((term) => term !== "")
    .join(" ");
}

/** Memory id -> score in 0..1, best first: BM25 relative to the best of the batch. Throws on FTS5 syntax errors. */
export function scoreKeywords(
  connection: Connection,
  match: string,
  filter: { readonly sql: string; readonly bindings: readonly unknown[] },
  limit: number,
): Map<string, number> {
  const rows = connection.all<{ id: string; bm25: number }>(
    `SELECT m.id, bm25(memories_fts) AS bm25
     FROM memories_fts JOIN memories m ON m.rowid = memories_fts.rowid
     WHERE memories_fts MATCH ?${filter.sql} ORDER BY bm25 LIMIT ?`,
    [match, ...filter.bindings, limit],
  );
  const best = Math.max(0, ...rows.map((row) => Math.abs(row.bm25))) || 1;
  return new Map(rows.map((row) => [row.id, Math.abs(row.bm25) / best]));
}
