import { afterEach, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createToken, verifyToken } from "../src/auth/tokens.ts";
import { type Daemon, makeHome, PLAIN, type Reply, removeHome, startDaemon } from "./support.ts";

let daemon: Daemon;
const start = async (mode: string, limits = ""): Promise<void> => {
  daemon = await startDaemon(makeHome(`${PLAIN}auth:\n  mode: ${mode}\n${limits}`));
};
afterEach(async () => {
  await daemon.stop();
  removeHome(daemon.home);
});

const bearer = (role: string, scope: unknown = {}): Record<string, string> => {
  const secret = readFileSync(join(daemon.home, ".daemon", "auth-secret"));
  return { Authorization: `Bearer ${createToken(secret, role, scope, 60)}` };
};
const send = (method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply> =>
  daemon.send(method, path, body, headers);

test("a team daemon tells nothing without a token, not even its health", async () => {
  await start("team");
  for (const path of ["/health", "/nope", "/api/memories"]) {
    const reply = await send("GET", path);
    expect(reply).toMatchObject({ status: 401, json: { error: "authentication required" } });
    expect(reply.headers.get("www-authenticate")).toBe("Bearer");
  }
  expect(statSync(join(daemon.home, ".daemon", "auth-secret")).mode & 0o777).toBe(0o600);
});

test("roles get what the matrix grants, and some routes need no permission at all", async () => {
  await start("team");
  const denied = await send("POST", "/api/memory/remember", { content: "x" }, bearer("readonly"));
  expect(denied).toMatchObject({ status: 403, json: { error: "role 'readonly' lacks 'remember' permission" } });
  expect((await send("POST", "/api/memory/recall", { query: "x" }, bearer("readonly"))).status).toBe(200);
  expect((await send("POST", "/api/config", { file: "a.md", content: "" }, bearer("readonly"))).status).toBe(200);
  expect((await send("POST", "/api/memory/recall", { query: "x" }, bearer("nobody"))).status).toBe(403);
});

test("the aliases of remember cannot authenticate themselves in team mode", async () => {
  await start("team");
  expect(await send("POST", "/api/memory/save", { content: "x" }, bearer("admin"))).toMatchObject({
    status: 401,
    json: { error: "authentication required" },
  });
});

test("an admin makes tokens that work, and a refusal ends as a 500 text", async () => {
  await start("team");
  const body = { role: "agent", scope: { project: "/p" }, ttlSeconds: 90 };
  const { json } = await send("POST", "/api/auth/token", body, bearer("admin"));
  const { json: whoami } = await send("GET", "/api/auth/whoami", undefined, { Authorization: `Bearer ${json.token}` });
  const claims = { sub: "token:agent", scope: { project: "/p" }, role: "agent" };
  expect(whoami).toMatchObject({ authenticated: true, mode: "team", claims });
  expect(await send("POST", "/api/auth/token", { role: "root" }, bearer("admin"))).toMatchObject({ status: 400 });
  expect(await send("POST", "/api/auth/token", body, bearer("agent"))).toMatchObject({
    status: 500,
    text: "Internal Server Error",
  });
});

test("a token bound to a project deletes only rows of that project or of none", async () => {
  await start("team");
  const remember = async (content: string, project: string | null): Promise<string> =>
    (await send("POST", "/api/memory/remember", { content, project }, bearer("admin"))).json.id;
  const [own, foreign, free] = [await remember("a", "/p"), await remember("b", "/q"), await remember("c", null)];
  const status = async (id: string, role: string): Promise<number> =>
    (await send("DELETE", `/api/memory/${id}`, { reason: "r" }, bearer(role, { project: "/p" }))).status;
  expect([await status(own, "agent"), await status(foreign, "agent"), await status(free, "agent")]).toEqual([200, 403, 200]);
  expect(await status(foreign, "admin")).toBe(200);
});

test("a request over the limit is a 500 text that says when to come back", async () => {
  await start("team", "  rateLimits:\n    forget:\n      max: 1\n");
  const remove = (): Promise<Reply> => send("DELETE", "/api/memory/x", { reason: "r" }, bearer("agent"));
  expect((await remove()).status).toBe(404);
  const limited = await remove();
  expect([limited.status, limited.text]).toEqual([500, "Internal Server Error"]);
  expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0);
});

test("hybrid trusts the Host header, and a bad token there counts as none", async () => {
  await start("hybrid");
  expect((await send("GET", "/api/memories")).status).toBe(200);
  expect((await send("GET", "/api/memories", undefined, { Host: "example.org" })).status).toBe(401);
  const whoami = await send("GET", "/api/auth/whoami", undefined, { Authorization: "Bearer a.b" });
  expect(whoami.json).toEqual({ authenticated: false, claims: null, mode: "hybrid" });
});

test("local mode has no tokens to give", async () => {
  await start("local");
  expect(await send("POST", "/api/auth/token", { role: "admin" })).toMatchObject({
    status: 400,
    json: { error: "auth secret not available (local mode?)" },
  });
});

test("a token is refused for the first thing that is wrong with it", async () => {
  await start("local");
  const secret = Buffer.alloc(32, 1);
  const token = createToken(secret, "agent", {}, 60);
  expect(verifyToken(secret, "abc")).toEqual({ refusal: "malformed token" });
  expect(verifyToken(secret, `${token.slice(0, -2)}AA`)).toEqual({ refusal: "invalid signature" });
  expect(verifyToken(Buffer.alloc(32, 2), token)).toEqual({ refusal: "invalid signature" });
  expect(verifyToken(secret, createToken(secret, "agent", {}, -1))).toEqual({ refusal: "token expired" });
  expect(verifyToken(secret, token)).toMatchObject({ claims: { sub: "token:agent", role: "agent" } });
});
