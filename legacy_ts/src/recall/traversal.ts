/**
 * Memories behind what is known about an entity: from focal entities along their aspects to attributes, then one hop
 * along dependencies. Found candidates rank higher, other memories that pass the filters are added.
 */
import { type Connection, marks } from "../database.ts";
import type { PipelineConfig } from "../pipeline_config.ts";
import { boost, type Candidate, Deadline, entityTokens, sortByScore } from "./candidates.ts";

const MAX_NAMED_ENTITIES = 20;

type TraversalConfig = PipelineConfig["traversal"];

export interface Traversal {
  readonly query: string;
  readonly agentId: unknown;
  readonly minScore: number;
  readonly filter: { readonly sql: string; readonly bindings: readonly unknown[] };
}

export function boostByTraversal(
  connection: Connection,
  candidates: Candidate[],
  { query, agentId, minScore, filter }: Traversal,
  config: TraversalConfig,
): void {
  const tokens = entityTokens(query);
  if (tokens.length === 0) return;
  const focal = focalEntities(connection, agentId, tokens);
  if (focal.length === 0) return;

  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  const missing: string[] = [];
  for (const id of walk(connection, focal, agentId, config)) {
    const candidate = byId.get(id);
    if (candidate) boost(candidate, config.boostWeight);
    else missing.push(id);
  }
  for (const { id, importance } of loadMissing(connection, missing, agentId, filter)) {
    candidates.push({ id, score: Math.max(minScore, Math.min(1, importance)), source: "ka_traversal" });
  }
  sortByScore(candidates);
}

/** The agent's pinned entities, newest pin first, then those named in the query, most mentioned first. */
function focalEntities(connection: Connection, agentId: unknown, tokens: readonly string[]): string[] {
  const pinned = connection.all<{ id: string }>(
    "SELECT id FROM entities WHERE agent_id = ? AND pinned = 1 ORDER BY pinned_at DESC, updated_at DESC",
    [agentId],
  );
  const conditions = tokens.map(() => "canonical_name LIKE ? OR name LIKE ?").join(" OR ");
  const named = connection.all<{ id: string }>(
    `SELECT id FROM entities WHERE agent_id = ? AND (${conditions})
     ORDER BY mentions DESC LIMIT ${MAX_NAMED_ENTITIES}`,
    [agentId, ...tokens.flatMap((token) => [`%${token}%`, `%${token}%`])],
  );
  return [...new Set([...pinned, ...named].map((row) => row.id))];
}

/** Ids of memories behind the active attributes, in the order found; what was found in time when time runs out. */
function walk(
  connection: Connection,
  focal: readonly string[],
  agentId: unknown,
  config: TraversalConfig,
): Set<string> {
  const deadline = new Deadline(config.timeoutMs);
  const visited = new Set<string>();
  const memories = new Set<string>();
  const visit = (entity: string): void => {
    if (visited.has(entity)) return;
    visited.add(entity);
    const aspects = connection.all<{ id: string }>(
      "SELECT id FROM entity_aspects WHERE entity_id = ? AND agent_id = ? ORDER BY weight DESC LIMIT ?",
      [entity, agentId, config.maxAspectsPerEntity],
    );
    for (const aspect of aspects) {
      if (deadline.passed) return;
      const attributes = connection.all<{ memory_id: string | null }>(
        `SELECT memory_id FROM entity_attributes WHERE aspect_id = ? AND agent_id = ? AND status = 'active'
         ORDER BY importance DESC LIMIT ?`,
        [aspect.id, agentId, config.maxAttributesPerAspect],
      );
      for (const { memory_id } of attributes) if (memory_id) memories.add(memory_id);
    }
  };
  for (const entity of focal) {
    if (deadline.passed) return memories;
    visit(entity);
  }
  if (deadline.passed) return memories;
  const targets = connection.all<{ id: string }>(
    `SELECT target_entity_id AS id FROM entity_dependencies
     WHERE agent_id = ? AND source_entity_id IN (${marks(focal)}) AND strength >= ? ORDER BY strength DESC LIMIT ?`,
    [agentId, ...focal, config.minDependencyStrength, config.maxDependencyHops],
  );
  for (const { id } of targets) {
    if (deadline.passed) break;
    visit(id);
  }
  return memories;
}

/** Live memories among the ids that pass the filters, with the importance of their best attribute. */
function loadMissing(
  connection: Connection,
  ids: readonly string[],
  agentId: unknown,
  filter: Traversal["filter"],
): { id: string; importance: number }[] {
  if (ids.length === 0) return [];
  return connection.all(
    `SELECT m.id, COALESCE(MAX(attribute.importance), m.importance, 0.5) AS importance
     FROM memories m LEFT JOIN entity_attributes attribute
       ON attribute.memory_id = m.id AND attribute.agent_id = ? AND attribute.status = 'active'
     WHERE m.id IN (${marks(ids)}) AND m.is_deleted = 0${filter.sql}
     GROUP BY m.id, m.importance`,
    [agentId, ...ids, ...filter.bindings],
  );
}
