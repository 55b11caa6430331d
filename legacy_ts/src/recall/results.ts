/** Recall's result objects, and the rationales that are added to decisions. */
import { roundTo2 } from "../coercion.ts";
import { type Connection, marks } from "../database.ts";

const COLUMNS = ["id", "content", "type", "tags", "pinned", "importance", "who", "project", "created_at"];
const MAX_RATIONALES = 10;

export interface MemoryRow {
  readonly id: string;
  readonly content: string;
  readonly type: string;
  readonly tags: string | null;
  readonly pinned: number;
  readonly importance: number;
  readonly who: string;
  readonly project: string | null;
  readonly created_at: string;
}

export interface RecallResult extends Omit<MemoryRow, "pinned"> {
  readonly content_length: number;
  readonly truncated: boolean;
  readonly score: number;
  readonly source: string;
  readonly pinned: boolean;
  readonly supplementary?: true;
}

/** Rows in no particular order; deleted ones too. */
export function loadRows(connection: Connection, ids: readonly string[]): MemoryRow[] {
  return connection.all(`SELECT ${COLUMNS.join(", ")} FROM memories WHERE id IN (${marks(ids)})`, ids);
}

export function toResult(row: MemoryRow, score: number, source: string, maxChars: number): RecallResult {
  const truncated = row.content.length > maxChars;
  return {
    id: row.id,
    // The cut counts UTF-16 units and may split a character; JSON then shows half of it as an escape.
    content: truncated ? `${row.content.slice(0, maxChars)} [truncated]` : row.content,
    content_length: row.content.length,
    truncated,
    score: roundTo2(score),
    source,
    type: row.type,
    tags: row.tags,
    pinned: Boolean(row.pinned),
    importance: row.importance,
    who: row.who,
    project: row.project,
    created_at: row.created_at,
  };
}

/** Live memories of type `rationale` about the same entities as the decisions among the results, without repeats. */
export function findRationales(connection: Connection, results: readonly RecallResult[]): MemoryRow[] {
  const decisions = results.filter((result) => result.type === "decision").map((result) => result.id);
  if (decisions.length === 0) return [];
  const mentioned = connection.all<{ id: string }>(
    `SELECT DISTINCT entity_id AS id FROM memory_entity_mentions WHERE memory_id IN (${marks(decisions)})`,
    decisions,
  );
  if (mentioned.length === 0) return [];
  const entities = mentioned.map((row) => row.id);
  const rows = connection.all<MemoryRow>(
    `SELECT DISTINCT ${COLUMNS.map((column) => `m.${column}`).join(", ")}
     FROM memory_entity_mentions mention JOIN memories m ON m.id = mention.memory_id
     WHERE mention.entity_id IN (${marks(entities)}) AND m.type = 'rationale' AND m.is_deleted = 0
     LIMIT ${MAX_RATIONALES}`,
    entities,
  );
  const shown = new Set(results.map((result) => result.id));
  return rows.filter((row) => !shown.has(row.id));
}
