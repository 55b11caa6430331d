/**
 * Orders the best candidates again by likeness to the query vector, where there is one, and then gives them their rank
 * as score: place i of n gets 1 - i/n. Candidates behind the cut keep their old score, which can now be the higher one.
 */
import { type Connection, marks } from "../database.ts";
import { fromBlob } from "../vector_table.ts";
import { type Candidate, sortByScore } from "./candidates.ts";

const SIMILARITY_WEIGHT = 0.3;

export function rerank(
  connection: Connection,
  candidates: Candidate[],
  queryVector: Float32Array | null,
  topN: number,
): void {
  const head = candidates.slice(0, topN);
  const ordered = queryVector ? orderBySimilarity(connection, head, queryVector) : head;
  ordered.forEach((candidate, place) => {
    candidate.score = 1 - place / ordered.length;
  });
  sortByScore(candidates);
}

function orderBySimilarity(connection: Connection, head: readonly Candidate[], queryVector: Float32Array): Candidate[] {
  const ids = head.map((candidate) => candidate.id);
  const rows = connection.all<{ source_id: string; vector: Uint8Array }>(
    `SELECT source_id, vector FROM embeddings WHERE source_type = 'memory' AND source_id IN (${marks(ids)})`,
    ids,
  );
  const vectors = new Map(rows.map((row) => [row.source_id, fromBlob(row.vector)]));
  const blended = head.map((candidate) => {
    const vector = vectors.get(candidate.id);
    const score = vector
      ? (1 - SIMILARITY_WEIGHT) * candidate.score + SIMILARITY_WEIGHT * cosine(queryVector, vector)
      : candidate.score;
    return { candidate, score };
  });
  return blended.sort((a, b) => b.score - a.score).map(({ candidate }) => candidate);
}

/** Over the common length of both; 0 when either has no length. */
function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, squaresA, squaresB] = [0, 0, 0];
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const [x, y] = [a[index] ?? 0, b[index] ?? 0];
    dot += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  const norm = Math.sqrt(squaresA) * Math.sqrt(squaresB);
  return norm > 0 ? dot / norm : 0;
}
