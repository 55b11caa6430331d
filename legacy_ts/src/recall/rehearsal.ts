/** Memories that are recalled often and lately rank higher. */
import { type Connection, marks } from "../database.ts";
import type { SearchConfig } from "../memory_config.ts";
import { type Candidate, sortByScore } from "./candidates.ts";

const DAY_MS = 86_400_000;

interface Access {
  readonly id: string;
  readonly access_count: number;
  readonly last_accessed: string | null;
}

export function boostRehearsed(
  connection: Connection,
  candidates: Candidate[],
  { weight, halfLifeDays }: SearchConfig["rehearsal"],
): void {
  const ids = candidates.map((candidate) => candidate.id);
  const rows = connection.all<Access>(
    // Asked in SQL: a text that somebody put there counts as more than 0, and makes the score NaN below.
    `SELECT id, access_count, last_accessed FROM memories WHERE id IN (${marks(ids)}) AND access_count > 0`,
    ids,
  );
  const accesses = new Map(rows.map((row) => [row.id, row]));
  const now = Date.now();
  for (const candidate of candidates) {
    const access = accesses.get(candidate.id);
    if (!access) continue;
    // last_accessed has no zone and is UTC; it is read as local time here, which matters outside UTC only.
    const days = access.last_accessed ? (now - new Date(access.last_accessed).getTime()) / DAY_MS : halfLifeDays;
    candidate.score *= 1 + weight * Math.log(access.access_count + 1) * 0.5 ** (days / halfLifeDays);
  }
  sortByScore(candidates);
}
