/** Storing a text: whole, or in chunks when it is long. The row comes first; vector and job follow and may fail. */
import { inferType, normalizeContent } from "./content.ts";
import type { Daemon } from "./daemon_state.ts";
import type { EmbeddingConfig } from "./memory_config.ts";
import {
  type Attributes,
  enqueueExtraction,
  findByHash,
  findBySource,
  insertEmbedding,
  insertMemory,
  type NewMemory,
  type StoredMemory,
} from "./memory_writes.ts";

export type Stored =
  | { readonly duplicateOf: StoredMemory }
  | { readonly failed: unknown }
  | { readonly embedded: boolean };

/** Stores a memory unless a live one has the same source or the same text. */
export async function storeMemory(
  daemon: Daemon,
  memory: NewMemory,
  embedding: () => EmbeddingConfig,
): Promise<Stored> {
  const { database, logger } = daemon;
  try {
    const duplicate = database.write((connection) => {
      const known =
        (memory.sourceId === null ? null : findBySource(connection, memory.sourceType, memory.sourceId)) ??
        findByHash(connection, memory.content.hash);
      if (!known) insertMemory(connection, memory);
      return known;
    });
    if (duplicate) return { duplicateOf: duplicate };
  } catch (error) {
    // Another process can have stored the same text between the look and the insert.
    const raced = error instanceof Error && error.message.includes("UNIQUE constraint");
    const winner = raced ? database.read((connection) => findByHash(connection, memory.content.hash)) : null;
    return winner ? { duplicateOf: winner } : { failed: error };
  }

  const embedded = await embed(daemon, memory, embedding);
  if (memory.extract) {
    try {
      database.write((connection) => enqueueExtraction(connection, memory.id));
    } catch (error) {
      database.write((connection) =>
        connection.run("UPDATE memories SET extraction_status = 'failed' WHERE id = ?", [memory.id]),
      );
      logger.warn("pipeline", "Failed to enqueue extraction job", { memoryId: memory.id, error: String(error) });
    }
  }
  const { id, type, pinned } = memory;
  logger.info("memory", "Memory saved", { id, type, pinned, embedded });
  return { embedded };
}

/** Asks for a vector and stores it; false, and a warning at most, when there is none or it cannot be stored. */
async function embed(daemon: Daemon, memory: NewMemory, config: () => EmbeddingConfig): Promise<boolean> {
  const { database, logger } = daemon;
  try {
    const { dimensions, ...provider } = config();
    const vector = await daemon.embed(memory.content.storage, { dimensions, ...provider });
    if (!vector) return false;
    if (vector.length !== dimensions) {
      logger.warn("memory", "Embedding dimension mismatch, skipping vector insert", {
        got: vector.length,
        expected: dimensions,
        memoryId: memory.id,
      });
      return false;
    }
    database.write((connection) => insertEmbedding(connection, memory, vector, provider.model));
    return true;
  } catch (error) {
    logger.warn("memory", "Embedding failed (memory saved without vector)", { id: memory.id, error: String(error) });
    return false;
  }
}

export interface ChunkSettings {
  readonly attributes: Attributes;
  readonly embedding: EmbeddingConfig;
  readonly extract: boolean;
}

export interface ChunkGroup {
  readonly groupId: string;
  /** Memories that were new; chunks whose text was known are left out. */
  readonly ids: readonly string[];
}

/** Stores the chunks as memories of one group, one after the other. Throws only when the group cannot be made. */
export async function storeChunks(
  daemon: Daemon,
  chunks: readonly string[],
  { attributes, embedding, extract }: ChunkSettings,
): Promise<ChunkGroup> {
  const { database, logger } = daemon;
  const groupId = crypto.randomUUID();
  const createdAt = new Date().toISOString();
  const name = `chunk-group:${groupId}`;
  database.write((connection) =>
    connection.run(
      `INSERT INTO entities (id, name, canonical_name, entity_type, agent_id, mentions, created_at, updated_at)
       VALUES (?, ?, ?, 'chunk_group', 'default', 0, ?, ?)`,
      [groupId, name, name, createdAt, createdAt],
    ),
  );

  const ids: string[] = [];
  for (const chunk of chunks) {
    const id = crypto.randomUUID();
    try {
      const content = normalizeContent(chunk);
      if (content.storage === "") continue;
      const origin = { sourceType: "chunk", sourceId: groupId, createdAt, extract };
      const memory: NewMemory = { ...attributes, ...origin, id, content, type: inferType(chunk) };
      if (!insertChunk(daemon, memory, groupId)) continue;
      ids.push(id);
      await embed(daemon, memory, () => embedding);
      if (extract) database.write((connection) => enqueueExtraction(connection, id));
    } catch (error) {
      logger.warn("memory", "Failed to save chunk", { chunkId: id, error: String(error) });
    }
  }
  logger.info("memory", "Chunked memory saved", { groupId, chunkCount: ids.length });
  return { groupId, ids };
}

function insertChunk({ database }: Daemon, memory: NewMemory, groupId: string): boolean {
  return database.write((connection) => {
    if (findByHash(connection, memory.content.hash)) return false;
    insertMemory(connection, memory);
    connection.run(
      `INSERT OR IGNORE INTO memory_entity_mentions (memory_id, entity_id, mention_text, confidence, created_at)
       VALUES (?, ?, 'chunk', 1.0, ?)`,
      [memory.id, groupId, memory.createdAt],
    );
    return true;
  });
}

