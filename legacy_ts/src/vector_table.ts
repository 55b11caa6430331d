/**
 * sqlite-vec: the extension, the `vec_embeddings` table beside `embeddings`, and nearest neighbours. Vector search is
 * an extra: without the extension, or with vectors of another length, memories are still found by keyword.
 */
import type { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import type { Connection } from "./database.ts";

const DEFAULT_DIMENSIONS = 768;

export class VectorExtension {
  constructor(private readonly path: string | null) {
    if (path === null) {
      console.warn("[database] SIGNET_VEC_PATH is not set: vector search is off, keyword search works");
    } else if (!existsSync(path)) {
      console.warn(`[database] SIGNET_VEC_PATH=${path} does not exist: vector search is off, keyword search works`);
      this.path = null;
    }
  }

  load(db: Database): void {
    if (this.path === null) return;
    try {
      db.loadExtension(this.path);
    } catch (error) {
      console.warn(`[database] ${this.path} cannot be loaded, vector search is off:`, error);
    }
  }

  /** Creates the table when it is missing and fills in vectors that only `embeddings` has. */
  prepareTable(db: Database): void {
    if (this.path === null) return;
    try {
      createVectorTable(db);
      fillVectorTable(db);
    } catch (error) {
      console.warn("[database] vec_embeddings cannot be used, vector search is off:", error);
    }
  }
}

function createVectorTable(db: Database): void {
  const table = db.query("SELECT sql FROM sqlite_master WHERE name = 'vec_embeddings' AND type = 'table'").get() as {
    sql: string;
  } | null;
  if (table?.sql.includes("id TEXT")) return;
  if (table) db.exec("DROP TABLE vec_embeddings");
  const stored = db.query("SELECT dimensions FROM embeddings LIMIT 1").get() as { dimensions: number } | null;
  // The configured length is not asked: a table made for 768 stays 768 until it is dropped by hand.
  const dimensions = stored?.dimensions ?? DEFAULT_DIMENSIONS;
  db.exec(
    "CREATE VIRTUAL TABLE vec_embeddings USING vec0(" +
      `id TEXT PRIMARY KEY, embedding FLOAT[${dimensions}] distance_metric=cosine)`,
  );
}

function fillVectorTable(db: Database): void {
  const count = (table: string): number =>
    (db.query(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n;
  if (count("vec_embeddings") >= count("embeddings")) return;
  const missing = db
    .query("SELECT id, vector FROM embeddings WHERE id NOT IN (SELECT id FROM vec_embeddings)")
    .all() as { id: string; vector: Uint8Array }[];
  const insert = db.prepare("INSERT OR REPLACE INTO vec_embeddings (id, embedding) VALUES (?, ?)");
  db.transaction(() => {
    for (const { id, vector } of missing) {
      try {
        insert.run(id, vector);
      } catch {
        // A vector of another length cannot be indexed; keyword search still finds its memory.
      }
    }
  })();
  db.exec("DELETE FROM vec_embeddings WHERE id NOT IN (SELECT id FROM embeddings)");
}

/** Little-endian float32 without a header: the form of both tables. */
export function toBlob(vector: readonly number[]): Uint8Array {
  return new Uint8Array(new Float32Array(vector).buffer);
}

export function fromBlob(blob: Uint8Array): Float32Array {
  // A copy, because a blob need not start at a multiple of four bytes.
  return new Float32Array(blob.slice().buffer);
}

/** Cached map projections are out of date as soon as any vector changes. */
function forgetProjections(connection: Connection): void {
  connection.run("DELETE FROM umap_cache");
}

export function indexVector(connection: Connection, embeddingId: string, vector: readonly number[]): void {
  forgetProjections(connection);
  try {
    connection.run("INSERT OR REPLACE INTO vec_embeddings (id, embedding) VALUES (?, ?)", [
      embeddingId,
      new Float32Array(vector),
    ]);
  } catch {
    // No extension, or another length than the table's: stored in `embeddings`, not searchable by vector.
  }
}

export function unindexMemory(connection: Connection, memoryId: string): void {
  forgetProjections(connection);
  try {
    const ids = connection.all<{ id: string }>(
      "SELECT id FROM embeddings WHERE source_type = 'memory' AND source_id = ?",
      [memoryId],
    );
    for (const { id } of ids) connection.run("DELETE FROM vec_embeddings WHERE id = ?", [id]);
  } catch {
    // As above.
  }
}

export interface Neighbour {
  readonly id: string;
  readonly score: number;
}

/** Memories nearest to a vector, nearest first; [] when vectors cannot be searched. The type filters after the cut. */
export function nearestMemories(
  connection: Connection,
  vector: Float32Array,
  limit: number,
  type: unknown,
): Neighbour[] {
  const sql = `
    SELECT embeddings.source_id AS id, nearest.distance
    FROM vec_embeddings nearest
    JOIN embeddings ON embeddings.id = nearest.id
    JOIN memories ON memories.id = embeddings.source_id
    WHERE nearest.embedding MATCH ? AND k = ? ${type ? "AND memories.type = ?" : ""}
    ORDER BY nearest.distance`;
  try {
    const rows = connection.all<{ id: string; distance: number }>(sql, [vector, limit, ...(type ? [type] : [])]);
    return rows.map((row) => ({ id: row.id, score: Math.max(0, 1 - row.distance) }));
  } catch (error) {
    console.warn("Vector search failed:", error);
    return [];
  }
}
