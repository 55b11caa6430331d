/** The writes that make a memory: its row, its vector, its extraction job. Each runs in a transaction of the caller. */
import type { NormalizedContent } from "./content.ts";
import type { Connection } from "./database.ts";
import { indexVector, toBlob, unindexMemory } from "./vector_table.ts";

const MAX_JOB_ATTEMPTS = 3;

/** Fields as sent, of any JSON type: the column's affinity decides what is kept, and SQLite refuses lists. */
export interface Attributes {
  readonly who: unknown;
  readonly project: unknown;
  readonly importance: unknown;
  readonly tags: unknown;
  readonly pinned: boolean;
}

export interface NewMemory extends Attributes {
  readonly id: string;
  readonly content: NormalizedContent;
  readonly type: string;
  readonly sourceType: string;
  readonly sourceId: string | null;
  readonly createdAt: string;
  /** Whether a pipeline is expected to extract facts from it. */
  readonly extract: boolean;
}

export function insertMemory(connection: Connection, memory: NewMemory): void {
  connection.run(
    `INSERT INTO memories
       (id, content, normalized_content, content_hash, who, why, project, importance, type, tags, pinned, is_deleted,
        extraction_status, embedding_model, extraction_model, created_at, updated_at, updated_by, source_type,
        source_id)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, NULL, NULL, ?, ?, ?, ?, ?)`,
    [
      memory.id,
      memory.content.storage,
      memory.content.normalized,
      memory.content.hash,
      memory.who,
      memory.pinned ? "explicit-critical" : "explicit",
      memory.project,
      memory.importance,
      memory.type,
      memory.tags,
      memory.pinned ? 1 : 0,
      memory.extract ? "pending" : "none",
      memory.createdAt,
      memory.createdAt,
      memory.who,
      memory.sourceType,
      memory.sourceId,
    ],
  );
}

/** Throws when another memory, such as a deleted one of the same text, still owns an embedding of this hash. */
export function insertEmbedding(
  connection: Connection,
  { id: memoryId, content, createdAt }: Pick<NewMemory, "id" | "content" | "createdAt">,
  vector: readonly number[],
  model: unknown,
): void {
  const embeddingId = crypto.randomUUID();
  unindexMemory(connection, memoryId);
  connection.run("DELETE FROM embeddings WHERE source_type = 'memory' AND source_id = ?", [memoryId]);
  connection.run(
    `INSERT INTO embeddings (id, content_hash, vector, dimensions, source_type, source_id, chunk_text, created_at)
     VALUES (?, ?, ?, ?, 'memory', ?, ?, ?)`,
    [embeddingId, content.hash, toBlob(vector), vector.length, memoryId, content.storage, createdAt],
  );
  indexVector(connection, embeddingId, vector);
  connection.run("UPDATE memories SET embedding_model = ? WHERE id = ?", [model, memoryId]);
}

/** Queued for a worker of the real daemon; nothing here takes jobs. A memory waits at most once. */
export function enqueueExtraction(connection: Connection, memoryId: string): void {
  const waiting = connection.get(
    `SELECT 1 FROM memory_jobs
     WHERE memory_id = ? AND job_type = 'extract' AND status IN ('pending', 'leased') LIMIT 1`,
    [memoryId],
  );
  if (waiting) return;
  const now = new Date().toISOString();
  connection.run(
    `INSERT INTO memory_jobs (id, memory_id, job_type, status, attempts, max_attempts, created_at, updated_at)
     VALUES (?, ?, 'extract', 'pending', 0, ?, ?, ?)`,
    [crypto.randomUUID(), memoryId, MAX_JOB_ATTEMPTS, now, now],
  );
}

export interface StoredMemory {
  readonly id: string;
  readonly type: string;
  readonly tags: string | null;
  readonly pinned: number;
  readonly importance: number;
  readonly content: string;
}

const STORED = "SELECT id, type, tags, pinned, importance, content FROM memories";

export function findByHash(connection: Connection, hash: string): StoredMemory | null {
  return connection.get(`${STORED} WHERE content_hash = ? AND is_deleted = 0 LIMIT 1`, [hash]);
}

export function findBySource(connection: Connection, sourceType: string, sourceId: string): StoredMemory | null {
  return connection.get(`${STORED} WHERE source_type = ? AND source_id = ? AND is_deleted = 0 LIMIT 1`, [
    sourceType,
    sourceId,
  ]);
}
