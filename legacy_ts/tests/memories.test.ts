import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Daemon, makeHome, type Reply, removeHome, startDaemon } from "./support.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon(makeHome());
});
afterAll(async () => {
  await daemon.stop();
  removeHome(daemon.home);
});

const remember = (body: unknown): Promise<Reply> => daemon.send("POST", "/api/memory/remember", body);
const forget = (id: string, body: unknown, headers = {}): Promise<Reply> =>
  daemon.send("DELETE", `/api/memory/${id}`, body, headers);

test("a fresh memory is described in the contract's order, without a deduped key", async () => {
  const { json } = await remember({ content: "I prefer tea over coffee." });
  expect(Object.entries(json).slice(1)).toEqual([
    ["type", "preference"], ["tags", null], ["pinned", false], ["importance", 0.8],
    ["content", "I prefer tea over coffee."], ["embedded", false],
  ]);
});

test("the same text in another form is a duplicate, which always claims to be embedded", async () => {
  const { json: first } = await remember({ content: "Duplicate me." });
  const { json } = await remember({ content: "  duplicate   ME!!" });
  expect(json).toMatchObject({ id: first.id, content: "Duplicate me.", tags: "", embedded: true, deduped: true });
});

test("the same source is a duplicate whatever the text", async () => {
  const { json: first } = await remember({ content: "from a source", sourceType: " T ", sourceId: " s1 " });
  expect((await remember({ content: "other", sourceType: "T", sourceId: "s1" })).json.id).toBe(first.id);
});

test("fields of the body win over prefixes, with the type they were sent in", async () => {
  const { json } = await remember({ content: "critical: [x]: loose types", importance: "high", tags: 5, pinned: "false" });
  expect(json).toMatchObject({ importance: "high", tags: 5, pinned: true });
});

test.each([
  ["{", 400, '{"error":"Invalid JSON body"}'],
  ["null", 500, "Internal Server Error"],
  ["[]", 400, '{"error":"content is required"}'],
  ['{"content":"critical:"}', 400, '{"error":"content is required"}'],
  ['{"content":5}', 500, "Internal Server Error"],
  ['{"content":"x","tags":["a"]}', 500, '{"error":"Failed to save memory"}'],
  ['{"content":"x","sourceId":5}', 500, "Internal Server Error"],
])("the body %p is refused", async (body, status, text) => {
  expect(await remember(body)).toMatchObject({ status, text });
});

test("lengths count UTF-16 units: 500 are one memory, 501 are chunks", async () => {
  expect((await remember({ content: "😁".repeat(250) })).json.chunked).toBeUndefined();
  const { json } = await remember({ content: "b".repeat(501) });
  expect(json).toMatchObject({ chunked: true, chunk_count: 1 });
  expect((await remember({ content: "b".repeat(501) })).json).toMatchObject({ chunked: true, chunk_count: 0, ids: [] });
});

test.each(["/api/memory/save", "/api/hook/remember"])("%s is remember, called over the network", async (path) => {
  expect((await daemon.send("POST", path, { content: `by ${path}` })).json.content).toBe(`by ${path}`);
  expect(await daemon.send("POST", path, "{")).toMatchObject({ status: 400, json: { error: "content is required" } });
});

test("a memory read by id has every column that clients know, and its session if it came from one", async () => {
  const { json } = await remember({ content: "read me", sourceType: "session_end", sourceId: "S9" });
  const { json: read } = await daemon.send("GET", `/api/memory/${json.id}`);
  expect(read).toMatchObject({ content: "read me", pinned: 0, confidence: 1, version: 1, session_id: null });
  expect(read.sessionId).toBe("S9");
  expect(Object.keys(read)).toHaveLength(23);
});

test("the list holds deleted memories too, and a limit that is not a number fails softly", async () => {
  const { json } = await remember({ content: "listed although deleted" });
  await forget(json.id, { reason: "r" });
  const list = await daemon.send("GET", "/api/memories?limit=-1");
  expect(list.json.memories.map((row: { id: string }) => row.id)).toContain(json.id);
  expect(list.json.stats.total).toBe(list.json.memories.length);
  expect(await daemon.send("GET", "/api/memories?limit=abc")).toMatchObject({
    status: 200,
    json: { memories: [], error: "Failed to load memories" },
  });
});

test("deleting leaves a history entry with who and why", async () => {
  const { json } = await remember({ content: "to be deleted" });
  const headers = { "x-signet-actor": " bot ", "x-signet-actor-type": "sdk", "x-signet-request-id": "r-1" };
  expect((await forget(json.id, { reason: " done ", if_version: "1" }, headers)).json).toEqual({
    id: json.id, status: "deleted", currentVersion: 1, newVersion: 2,
  });
  const { json: history } = await daemon.send("GET", `/api/memory/${json.id}/history`);
  expect(history.history[0]).toMatchObject({
    event: "deleted", oldContent: "to be deleted", newContent: null, changedBy: "bot", actorType: "sdk", reason: "done",
    metadata: { force: false, ifVersion: 1 }, requestId: "r-1",
  });
  expect((await daemon.send("GET", `/api/memory/${json.id}`)).status).toBe(404);
  expect(await forget(json.id, { reason: "again" })).toMatchObject({ status: 409, json: { status: "already_deleted" } });
});

test.each([
  ["[]", 400, "Invalid JSON body"],
  ["", 400, "reason is required"],
  ['{"reason":"r","force":"maybe"}', 400, "force must be a boolean"],
  ['{"reason":"r","if_version":1.5}', 400, "if_version must be a positive integer"],
  ['{"reason":"r"}', 404, "Not found"],
])("deleting with %p is refused", async (body, status, error) => {
  expect(await forget("unknown", body)).toMatchObject({ status, json: { error } });
});

test("a pinned memory goes only by force, and not by a pipeline", async () => {
  const { json } = await remember({ content: "critical: keep me" });
  const error = async (body: unknown, headers = {}) => (await forget(json.id, body, headers)).json.status;
  expect(await error({ reason: "r" })).toBe("pinned_requires_force");
  expect(await error({ reason: "r", force: true }, { "x-signet-actor-type": "pipeline" })).toBe("autonomous_force_denied");
  expect(await error({ reason: "r", if_version: 9, force: true })).toBe("version_conflict");
  expect(await error({ reason: "r", force: 1 })).toBe("deleted");
});

test("keyword search takes raw FTS5 syntax and falls back to the text itself", async () => {
  await remember({ content: "walrus (old) eats clams" });
  await remember({ content: "walrus sleeps" });
  const search = async (query: string) => (await daemon.send("GET", `/memory/search?${query}`)).json;
  expect((await search("q=walrus+NOT+clams")).results).toMatchObject([{ content: "walrus sleeps" }]);
  expect((await search("q=walr*")).results[0].score).toBeLessThan(0);
  const [fallback] = (await search("q=walrus+(")).results;
  expect(fallback).toMatchObject({ content: "walrus (old) eats clams" });
  expect(fallback.score).toBeUndefined();
  expect(await search("q=walrus&limit=abc")).toEqual({ results: [], error: "Search failed" });
  expect((await search("distinct=who")).values).toContain("daemon");
  expect(await search("limit=3")).toEqual({ results: [] });
});
