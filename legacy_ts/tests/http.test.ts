import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, makeHome, PLAIN, removeHome, startDaemon } from "./support.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon(makeHome());
});
afterAll(async () => {
  await daemon.stop();
  removeHome(daemon.home);
});

test.each(["/nope", "/health/", "/HEALTH", "/api/memory/", "/api/memory/timeline", "/api/documents"])(
  "%s is a plain 404 with the CORS header",
  async (path) => {
    const reply = await daemon.send("GET", path);
    expect([reply.status, reply.text]).toEqual([404, "404 Not Found"]);
    expect(reply.headers.get("access-control-allow-origin")).toBe("*");
  },
);

test("a wrong method is a 404, and OPTIONS is answered everywhere", async () => {
  expect((await daemon.send("DELETE", "/health")).status).toBe(404);
  const preflight = await daemon.send("OPTIONS", "/nope", undefined, { "Access-Control-Request-Headers": "x-a, x-b" });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-headers")).toBe("x-a,x-b");
});

test("the search path below /api/memory is a memory id", async () => {
  expect((await daemon.send("GET", "/api/memory/search?q=x")).json).toEqual({ error: "not found" });
  expect((await daemon.send("GET", "/api/memory/%20")).json).toEqual({ error: "memory id is required" });
});

test("status has the contract's keys in its order", async () => {
  const { json } = await daemon.send("GET", "/api/status");
  expect(Object.keys(json)).toEqual([
    "status", "version", "pid", "uptime", "startedAt", "port", "host", "bindHost", "agentsDir", "memoryDb",
    "pipelineV2", "providerResolution", "logging", "activeSessions", "bypassedSessions", "agentCreatedAt", "health",
    "update", "embedding",
  ]);
  expect(json.pipelineV2.guardrails).toEqual({ maxContentChars: 500, chunkTargetChars: 300, recallTruncateChars: 500 });
});

test("config files are listed by importance, then by name", async () => {
  for (const name of ["zz.md", "A.md", "b.md", "_x.md", "USER.md", "AGENTS.md"]) {
    writeFileSync(join(daemon.home, name), "é");
  }
  const { json } = await daemon.send("GET", "/api/config");
  expect(json.files.map((file: { name: string }) => file.name)).toEqual([
    "agent.yaml", "AGENTS.md", "USER.md", "_x.md", "A.md", "b.md", "zz.md",
  ]);
  expect(json.files[1]).toEqual({ name: "AGENTS.md", content: "é", size: 2 });
});

test.each([
  ["{", 500, "Failed to save file"],
  ['{"file":"a.md","content":5}', 400, "Invalid request"],
  ['{"file":"a..md","content":""}', 400, "Invalid file name"],
  ['{"file":"a.txt","content":""}', 400, "Invalid file type"],
])("saving %p as config is refused", async (body, status, error) => {
  expect(await daemon.send("POST", "/api/config", body)).toMatchObject({ status, json: { error } });
});

test("the identity comes from marked lines of IDENTITY.md", async () => {
  expect((await daemon.send("GET", "/api/identity")).json).toEqual({ name: "Unknown", creature: "", vibe: "" });
  await daemon.send("POST", "/api/config", { file: "IDENTITY.md", content: "- name: Ada\r\n - vibe: no\n- name: Bea\n" });
  expect((await daemon.send("GET", "/api/identity")).json).toEqual({ name: "Bea", creature: "", vibe: "" });
});

test("the log stream greets, then sends entries at once", async () => {
  const reader = (await fetch(`${daemon.url}/api/logs/stream`)).body?.getReader();
  const next = async (): Promise<string> => new TextDecoder().decode((await reader?.read())?.value);
  expect(await next()).toBe('data: {"type":"connected"}\n\n');
  await daemon.send("POST", "/api/config", { file: "n.md", content: "" });
  expect(JSON.parse((await next()).slice("data: ".length))).toMatchObject({
    level: "info", category: "api", message: "Config file updated", data: { file: "n.md" },
  });
  await reader?.cancel();
  // A stream without a reader must not disturb what is logged next.
  expect((await daemon.send("POST", "/api/config", { file: "n.md", content: "" })).status).toBe(200);
});

test("log files are read back, filtered after the tail is cut", async () => {
  const entry = (second: number, level: string, category: string): string =>
    JSON.stringify({ timestamp: `2020-01-01T00:00:0${second}.000Z`, level, category, message: `m${second}` });
  const lines = [entry(1, "info", "a"), entry(2, "error", "b"), "garbage", entry(3, "info", "a"), entry(4, "info", "a")];
  writeFileSync(join(daemon.home, "logs", "signet-2999-01-01.log"), lines.join("\n"));
  const messages = async (query: string): Promise<string[]> =>
    (await daemon.send("GET", `/api/logs?${query}`)).json.logs.map((log: { message: string }) => log.message);
  expect(await messages("limit=2")).toEqual(["m3", "m4"]);
  expect(await messages("limit=1&category=b")).toEqual([]);
  expect(await messages("limit=2&level=error")).toEqual(["m2"]);
  expect(await messages("limit=0")).toEqual([]);
});

test("the kill switch refuses writes from the next request on", async () => {
  daemon.configure(`${PLAIN}    mutationsFrozen: true\n`);
  const frozen = { status: 503, json: { error: "Mutations are frozen (kill switch active)" } };
  expect(await daemon.send("POST", "/api/memory/remember", { content: "x" })).toMatchObject(frozen);
  expect(await daemon.send("DELETE", "/api/memory/x", { reason: "r" })).toMatchObject(frozen);
  daemon.configure(PLAIN);
  expect((await daemon.send("POST", "/api/memory/remember", { content: "thawed" })).status).toBe(200);
});
