/** Hybrid search. Filters hold for keyword hits and traversal, not for vector hits; deleted rows are found. */
import type { Daemon } from "../daemon_state.ts";
import { marks } from "../database.ts";
import { filterClause } from "../filter.ts";
import type { MemoryConfig } from "../memory_config.ts";
import { nearestMemories } from "../vector_table.ts";
import { attempt, type Candidate, type RecallRequest } from "./candidates.ts";
import { boostByGraph } from "./graph.ts";
import { scoreKeywords, toMatchExpression } from "./keyword.ts";
import { mergeScores } from "./merge.ts";
import { boostRehearsed } from "./rehearsal.ts";
import { rerank } from "./rerank.ts";
import { findRationales, loadRows, type RecallResult, toResult } from "./results.ts";
import { boostByTraversal } from "./traversal.ts";

const DEFAULT_LIMIT = 10;

export interface RecallReply {
  readonly results: RecallResult[];
  readonly query: string;
  readonly method: "hybrid" | "keyword";
}

/** Throws on a request that no step can use, such as tags that are not text. */
export async function recall(daemon: Daemon, request: RecallRequest, config: MemoryConfig): Promise<RecallReply> {
  const { database, logger } = daemon;
  const { search, pipeline } = config;
  const { query } = request;
  const match = toMatchExpression(((request.keywordQuery ?? query) as string).trim());
  const filter = filterClause(request);

  let keywords = new Map<string, number>();
  attempt(logger, "FTS search failed, continuing with vector only", () => {
    keywords = database.read((connection) => scoreKeywords(connection, match, filter, search.topK));
  });
  const embedded = await daemon.embed(query, config.embedding);
  const queryVector = embedded ? new Float32Array(embedded) : null;
  const vectors = new Map(
    (queryVector
      ? database.read((connection) => nearestMemories(connection, queryVector, search.topK, request.type))
      : []
    ).map(({ id, score }) => [id, score]),
  );

  const candidates = mergeScores(keywords, vectors, search);
  const { graph, traversal, reranker } = pipeline;
  if (search.rehearsal.enabled && search.rehearsal.weight > 0 && candidates.length > 0) {
    attempt(logger, "Rehearsal boost failed (non-fatal)", () =>
      database.read((connection) => boostRehearsed(connection, candidates, search.rehearsal)),
    );
  }
  if (graph.enabled && graph.boostWeight > 0) {
    attempt(logger, "Graph boost failed (non-fatal)", () =>
      database.read((connection) => boostByGraph(connection, candidates, query, graph)),
    );
  }
  if (graph.enabled && traversal.enabled) {
    const { agentId } = request;
    attempt(logger, "KA traversal boost failed (non-fatal)", () =>
      database.read((connection) =>
        boostByTraversal(connection, candidates, { query, agentId, minScore: search.minScore, filter }, traversal),
      ),
    );
  }
  if (reranker.enabled) {
    attempt(logger, "Reranker failed (non-fatal)", () =>
      database.read((connection) => rerank(connection, candidates, queryVector, reranker.topN)),
    );
  }

  // A limit of any type: slice makes a number of it, and a negative one drops entries from the end.
  const chosen = candidates.slice(0, (request.limit ?? DEFAULT_LIMIT) as number);
  if (chosen.length === 0) return { results: [], query, method: "hybrid" };
  const results = loadResults(daemon, chosen, config);
  return { results, query, method: vectors.size > 0 ? "hybrid" : "keyword" };
}

function loadResults({ database, logger }: Daemon, chosen: readonly Candidate[], config: MemoryConfig): RecallResult[] {
  const { guardrails, graph } = config.pipeline;
  const maxChars = guardrails.recallTruncateChars;
  const ids = chosen.map((candidate) => candidate.id);
  const rows = new Map(database.read((connection) => loadRows(connection, ids)).map((row) => [row.id, row]));

  attempt(logger, "Failed to update access tracking", () =>
    database.write((connection) =>
      connection.run(
        `UPDATE memories SET last_accessed = datetime('now'), access_count = access_count + 1
         WHERE id IN (${marks(ids)})`,
        ids,
      ),
    ),
  );

  const results = chosen.flatMap(({ id, score, source }) => {
    const row = rows.get(id);
    return row ? [toResult(row, score, source, maxChars)] : [];
  });
  if (graph.enabled) {
    // Rationales come after the cut: they ignore the limit and the filters, and do not count as accessed.
    attempt(logger, "Rationale linking failed (non-fatal)", () => {
      for (const row of database.read((connection) => findRationales(connection, results))) {
        results.push({ ...toResult(row, 0, "graph", maxChars), supplementary: true });
      }
    });
  }
  return results;
}
