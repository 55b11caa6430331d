import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { toMatchExpression } from "../src/recall/keyword.ts";
import { type Daemon, databasePath, makeHome, PLAIN, type Reply, removeHome, startDaemon } from "./support.ts";

/** An embedder on loopback: one dimension per known word, so that likeness is shared words. */
const WORDS = ["fox", "red", "tea", "coffee", "cup", "database"];
const embedder = Bun.serve({
  port: 0,
  async fetch(request) {
    const { prompt } = (await request.json()) as { prompt: string };
    if (prompt.includes("broken")) return new Response("", { status: 500 });
    const vector = new Array(768).fill(0);
    WORDS.forEach((word, index) => {
      if (prompt.toLowerCase().includes(word)) vector[index] = 1;
    });
    vector[700] = 0.01;
    return Response.json({ embedding: prompt.includes("short") ? vector.slice(0, 8) : vector });
  },
});
const EMBEDDING = PLAIN.replace(
  "provider: none",
  `provider: ollama\n  model: stub\n  base_url: http://127.0.0.1:${embedder.port}/`,
);
const NO_RERANK = "    reranker:\n      enabled: false\n";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon(makeHome(EMBEDDING));
});
afterAll(async () => {
  await daemon.stop();
  removeHome(daemon.home);
  await embedder.stop(true);
});
beforeEach(() => {
  daemon.configure(EMBEDDING);
});

const remember = async (content: string): Promise<string> => {
  const reply = await daemon.send("POST", "/api/memory/remember", { content });
  return reply.json.id;
};
const recall = (query: string, fields: Record<string, unknown> = {}): Promise<Reply> =>
  daemon.send("POST", "/api/memory/recall", { query, ...fields });
const contents = (reply: Reply): string[] => reply.json.results.map((result: { content: string }) => result.content);
const inDatabase = (change: (db: Database) => void): void => {
  // The daemon has the file open and made it in this boot: keep the connection open while it runs.
  keptOpen ??= new Database(databasePath(daemon.home));
  change(keptOpen);
};
let keptOpen: Database | undefined;
afterAll(() => keptOpen?.close());

test("words become phrases that must all occur, and bare operators stay", () => {
  expect(toMatchExpression('tea  OR "cof:fee*" (::) and')).toBe('"tea" OR "coffee" "and"');
});

test("returned scores are ranks by default", async () => {
  for (const kind of ["one", "two", "three", "four"]) await remember(`zebra crossing ${kind}`);
  const reply = await recall("zebra crossing");
  expect(reply.json.results.map((result: { score: number }) => result.score)).toEqual([1, 0.75, 0.5, 0.25]);
});

test("a query that finds nothing is called hybrid all the same", async () => {
  daemon.configure(PLAIN);
  expect((await recall("xyzzy")).json).toEqual({ results: [], query: "xyzzy", method: "hybrid" });
  expect((await recall("::")).json.results).toEqual([]);
});

test.each([
  ["{", 400, '{"error":"Invalid JSON body"}'],
  ["null", 500, "Internal Server Error"],
  ['{"query":" "}', 400, '{"error":"query is required"}'],
  ['{"query":5}', 500, "Internal Server Error"],
  ['{"query":"x","tags":["a"]}', 500, '{"error":"Recall failed","results":[]}'],
])("the body %p is refused", async (body, status, text) => {
  expect(await daemon.send("POST", "/api/memory/recall", body)).toMatchObject({ status, text });
});

test("the limit is whatever slice makes of it", async () => {
  daemon.configure(PLAIN);
  for (const kind of ["one", "two", "three"]) await remember(`yak herd ${kind}`);
  const counts: number[] = [];
  for (const limit of ["2", 1.9, -1, "abc", null]) counts.push(contents(await recall("yak", { limit })).length);
  expect(counts).toEqual([2, 1, 2, 0, 3]);
});

test("long content is cut for the reply, and its length told", async () => {
  daemon.configure(`${PLAIN}    guardrails:\n      recallTruncateChars: 50\n`);
  await remember(`narwhal ${"😀".repeat(50)}`);
  const [result] = (await recall("narwhal")).json.results;
  expect(result).toMatchObject({ truncated: true, content_length: 108 });
  expect(result.content).toBe(`narwhal ${"😀".repeat(21)} [truncated]`);
});

test("being recalled is counted, and raises the score the next time", async () => {
  daemon.configure(PLAIN + NO_RERANK);
  const id = await remember("ibex on a ridge");
  const score = async (): Promise<number> => (await recall("ibex")).json.results[0].score;
  expect([await score(), await score()]).toEqual([1, 1.07]);
  expect((await daemon.send("GET", `/api/memory/${id}`)).json.access_count).toBe(2);
});

test("deleted memories are still found", async () => {
  const id = await remember("quokka smiles");
  await daemon.send("DELETE", `/api/memory/${id}`, { reason: "r" });
  expect(contents(await recall("quokka"))).toContain("quokka smiles");
});

test("filters narrow keyword hits by type, tags, who, pin, importance and time", async () => {
  daemon.configure(PLAIN);
  const one = { content: "gnu one", tags: "plains,africa", who: "ann", importance: 0.2 };
  for (const memory of [one, { content: "critical: gnu must rest", who: "bob" }]) {
    await daemon.send("POST", "/api/memory/remember", memory);
  }
  const found = async (filter: Record<string, unknown>): Promise<string[]> => contents(await recall("gnu", filter));
  expect(await found({ tags: "fric" })).toEqual(["gnu one"]);
  expect(await found({ who: "bob" })).toEqual(["gnu must rest"]);
  expect(await found({ pinned: "false" })).toEqual(["gnu must rest"]);
  expect(await found({ type: "rule" })).toEqual(["gnu must rest"]);
  expect(await found({ importance_min: 0.9 })).toEqual(["gnu must rest"]);
  expect(await found({ importance_min: "0.9" })).toHaveLength(2);
  expect(await found({ since: "2999" })).toEqual([]);
});

test("vectors of the embedder are stored, and wrong lengths and failures are not", async () => {
  const embedded = async (content: string): Promise<boolean> =>
    (await daemon.send("POST", "/api/memory/remember", { content })).json.embedded;
  expect(await embedded("a red fox")).toBe(true);
  expect(await embedded("short fox")).toBe(false);
  expect(await embedded("broken fox")).toBe(false);
});

test("text that was forgotten and remembered again stays without a vector", async () => {
  const id = await remember("coffee once more");
  await daemon.send("DELETE", `/api/memory/${id}`, { reason: "r" });
  const { json } = await daemon.send("POST", "/api/memory/remember", { content: "coffee once more" });
  expect(json).toMatchObject({ embedded: false });
  expect(json.id).not.toBe(id);
});

test("similar needs a stored vector", async () => {
  expect(await daemon.send("GET", "/memory/similar")).toMatchObject({ status: 400, json: { error: "id is required" } });
  expect(await daemon.send("GET", "/memory/similar?id=x")).toMatchObject({
    status: 404,
    json: { error: "No embedding found for this memory" },
  });
});

// "teapot" and "cupboard" are near "tea" and "cup" to the embedder, and other words to the keyword index.
const NEAR = { query: "cupboard with teapot", method: "hybrid" } as const;
if (process.env.SIGNET_VEC_PATH) {
  test("with sqlite-vec, neighbours in vector space are found without a shared word", async () => {
    const tea = await remember("tea in a cup");
    await remember("database dump");
    const near = await daemon.send("GET", `/memory/similar?id=${tea}&k=50`);
    expect(near.json.results).not.toEqual([]);
    expect(near.json.results.map((result: { id: string }) => result.id)).not.toContain(tea);
    const reply = await recall(NEAR.query, { limit: 1 });
    expect(reply.json).toMatchObject({ ...NEAR, results: [{ content: "tea in a cup", source: "vector" }] });
  });
} else {
  test("without sqlite-vec, vectors are stored and not searched", async () => {
    const tea = await remember("tea in a cup");
    expect((await daemon.send("GET", `/memory/similar?id=${tea}`)).json).toEqual({ results: [] });
    expect((await recall(NEAR.query)).json).toEqual({ ...NEAR, results: [] });
    expect(daemon.output()).toContain("SIGNET_VEC_PATH is not set");
  });
}

test("knowledge about an entity pulls its memories up and in, and decisions bring their rationale", async () => {
  daemon.configure(PLAIN + NO_RERANK);
  const linked = await remember("the okapi likes leaves of atlas");
  const hidden = await remember("a note that shares no word");
  inDatabase((db) => {
    const at = "'2026', '2026'";
    db.run(`INSERT INTO entities (id, name, canonical_name, entity_type, created_at, updated_at)
            VALUES ('e1', 'Atlas', 'atlas', 'project', ${at})`);
    db.run("INSERT INTO memory_entity_mentions (memory_id, entity_id) VALUES (?, 'e1')", [linked]);
    db.run("INSERT INTO entity_aspects (id, entity_id, name, canonical_name) VALUES ('a1', 'e1', 'n', 'n')");
    db.run(
      `INSERT INTO entity_attributes (id, aspect_id, memory_id, kind, content, normalized_content, importance)
       VALUES ('t1', 'a1', ?, 'attribute', 'c', 'c', 0.4)`,
      [hidden],
    );
    db.run("UPDATE memories SET type = 'decision' WHERE id = ?", [linked]);
    db.run(`INSERT INTO memories (id, content, type, who, created_at, updated_at)
            VALUES ('why', 'because', 'rationale', 'x', ${at})`);
    db.run("INSERT INTO memory_entity_mentions (memory_id, entity_id) VALUES ('why', 'e1')");
  });
  const { results } = (await recall("okapi atlas")).json;
  expect(results).toMatchObject([
    { id: linked, source: "keyword" },
    { id: hidden, source: "ka_traversal", score: 0.4 },
    { id: "why", source: "graph", score: 0, supplementary: true },
  ]);
  expect((await recall("okapi atlas", { agentId: "other" })).json.results).toMatchObject([{ id: linked }, { id: "why" }]);
});
