/** Memories that mention an entity of the query, or a neighbour of one, rank higher. Adds no candidate. */
import { type Connection, marks } from "../database.ts";
import { boost, type Candidate, Deadline, entityTokens, sortByScore } from "./candidates.ts";

const MAX_ENTITIES = 20;
const MAX_NEIGHBOURS = 50;
const MAX_MEMORIES = 200;

export function boostByGraph(
  connection: Connection,
  candidates: Candidate[],
  query: string,
  { boostWeight, boostTimeoutMs }: { readonly boostWeight: number; readonly boostTimeoutMs: number },
): void {
  const linked = linkedMemories(connection, entityTokens(query), new Deadline(boostTimeoutMs));
  if (linked.size === 0) return;
  for (const candidate of candidates) {
    if (linked.has(candidate.id)) boost(candidate, boostWeight);
  }
  sortByScore(candidates);
}

/** Entities of every agent count. Out of time means no boost at all. */
function linkedMemories(connection: Connection, tokens: readonly string[], deadline: Deadline): Set<string> {
  if (tokens.length === 0) return new Set();
  const conditions = tokens.map(() => "canonical_name LIKE ?").join(" OR ");
  const named = connection.all<{ id: string }>(
    `SELECT id FROM entities WHERE ${conditions} ORDER BY mentions DESC LIMIT ${MAX_ENTITIES}`,
    tokens.map((token) => `%${token}%`),
  );
  if (named.length === 0 || deadline.passed) return new Set();

  const entities = named.map((row) => row.id);
  const neighbours = connection.all<{ id: string }>(
    `SELECT target_entity_id AS id FROM relations WHERE source_entity_id IN (${marks(entities)})
     UNION SELECT source_entity_id AS id FROM relations WHERE target_entity_id IN (${marks(entities)})
     LIMIT ${MAX_NEIGHBOURS}`,
    [...entities, ...entities],
  );
  if (deadline.passed) return new Set();

  const reached = [...new Set([...entities, ...neighbours.map((row) => row.id)])];
  const memories = connection.all<{ id: string }>(
    `SELECT DISTINCT mention.memory_id AS id
     FROM memory_entity_mentions mention JOIN memories m ON m.id = mention.memory_id
     WHERE mention.entity_id IN (${marks(reached)}) AND m.is_deleted = 0 LIMIT ${MAX_MEMORIES}`,
    reached,
  );
  return new Set(memories.map((row) => row.id));
}
