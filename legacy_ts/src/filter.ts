/** Conditions on memories that recall and keyword search share, as SQL on a table named `m`. */
import { splitCommas } from "./coercion.ts";

/** Falsy fields do not filter; `importanceMin` does unless it is null. */
export interface Filter {
  readonly type?: unknown;
  readonly tags?: unknown;
  readonly who?: unknown;
  readonly pinned?: unknown;
  readonly importanceMin?: number | null;
  readonly since?: unknown;
  readonly until?: unknown;
}

/** `sql` is empty or starts with " AND". Throws when tags are not text. */
export function filterClause(filter: Filter): { sql: string; bindings: unknown[] } {
  const conditions: string[] = [];
  const bindings: unknown[] = [];
  const add = (condition: string, ...values: unknown[]): void => {
    conditions.push(` AND ${condition}`);
    bindings.push(...values);
  };
  if (filter.type) add("m.type = ?", filter.type);
  if (filter.tags) {
    // A substring of the whole column: "a" also matches the tag "bar".
    for (const tag of splitCommas(filter.tags as string)) add("m.tags LIKE ?", `%${tag}%`);
  }
  if (filter.who) add("m.who = ?", filter.who);
  if (filter.pinned) add("m.pinned = 1");
  if (filter.importanceMin !== null && filter.importanceMin !== undefined) {
    add("m.importance >= ?", filter.importanceMin);
  }
  if (filter.since) add("m.created_at >= ?", filter.since);
  if (filter.until) add("m.created_at <= ?", filter.until);
  return { sql: conditions.join(""), bindings };
}
