/** The list that recall passes from step to step: candidates with a score, best first. */
import type { Filter } from "../filter.ts";
import type { Logger } from "../logger.ts";

export interface Candidate {
  readonly id: string;
  score: number;
  readonly source: "keyword" | "vector" | "hybrid" | "ka_traversal";
}

/** What a search asks for. Fields come from JSON unchecked; where a type matters, the step that uses it says so. */
export interface RecallRequest extends Filter {
  readonly query: string;
  readonly keywordQuery: unknown;
  readonly limit: unknown;
  readonly agentId: unknown;
}

/** Stable, so that equal scores keep their order. */
export function sortByScore(candidates: Candidate[]): void {
  candidates.sort((a, b) => b.score - a.score);
}

/** Pulls a score towards 1 by the weight. */
export function boost(candidate: Candidate, weight: number): void {
  candidate.score = (1 - weight) * candidate.score + weight;
}

/** Runs a step that recall can do without: an error is logged, and the search goes on with what it has. */
export function attempt(logger: Logger, failure: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    logger.warn("memory", failure, { error: error instanceof Error ? error.message : String(error) });
  }
}

/** Lower-case words of ASCII letters and digits, two characters or longer. */
export function entityTokens(query: string): string[] {
  return query
    .toLowerCase()
    .replace(/[^a-z0-9\s]/g, " ")
    .split(/\s+/)
    .filter((token) => token.length >= 2);
}

export class Deadline {
  private readonly at: number;

  constructor(timeoutMs: number) {
    this.at = Date.now() + timeoutMs;
  }

  get passed(): boolean {
    return Date.now() > this.at;
  }
}
