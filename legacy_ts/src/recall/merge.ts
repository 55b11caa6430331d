/** Keyword and vector scores as one list: keyword hits in their order, then hits by vector alone. */
import type { SearchConfig } from "../memory_config.ts";
import { type Candidate, sortByScore } from "./candidates.ts";

export function mergeScores(
  keywords: ReadonlyMap<string, number>,
  vectors: ReadonlyMap<string, number>,
  { alpha, minScore }: SearchConfig,
): Candidate[] {
  const candidates: Candidate[] = [];
  for (const id of new Set([...keywords.keys(), ...vectors.keys()])) {
    const candidate = mergeOne(id, keywords.get(id) ?? 0, vectors.get(id) ?? 0, alpha);
    if (candidate.score >= minScore) candidates.push(candidate);
  }
  sortByScore(candidates);
  return candidates;
}

function mergeOne(id: string, keyword: number, vector: number, alpha: number): Candidate {
  if (keyword > 0 && vector > 0) return { id, score: alpha * vector + (1 - alpha) * keyword, source: "hybrid" };
  return vector > 0 ? { id, score: vector, source: "vector" } : { id, score: keyword, source: "keyword" };
}
