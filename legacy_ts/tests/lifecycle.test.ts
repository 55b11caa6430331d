import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, databasePath, makeHome, removeHome, spawnDaemon, startDaemon, waitFor } from "./support.ts";

let home: string;
let running: Daemon[];
const start = async (env?: Record<string, string>): Promise<Daemon> => {
  const daemon = await startDaemon(home, env);
  running.push(daemon);
  return daemon;
};
const pidPath = (): string => join(home, ".daemon", "pid");

beforeEach(() => {
  home = makeHome();
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((daemon) => daemon.stop("SIGKILL")));
  removeHome(home);
});

test("health names the process, its home and the contract", async () => {
  const daemon = await start();
  const { status, json } = await daemon.send("GET", "/health");
  expect(status).toBe(200);
  expect(Object.keys(json)).toEqual([
    "status", "uptime", "pid", "version", "port", "agentsDir", "db", "updateAvailable", "pendingRestart",
  ]);
  expect(json).toMatchObject({ status: "healthy", pid: daemon.process.pid, version: "0.58.1", agentsDir: home, db: true });
});

test("the pid file holds the number alone, and the healthy start is recorded", async () => {
  const daemon = await start();
  expect(readFileSync(pidPath(), "utf-8")).toBe(String(daemon.process.pid));
  const record = JSON.parse(readFileSync(join(home, ".daemon", "last-healthy-start"), "utf-8"));
  expect(record).toMatchObject({ version: "0.58.1", pid: daemon.process.pid });
});

test.each(["SIGTERM", "SIGINT"] as const)("%s ends it with code 0, without a pid file", async (signal) => {
  const daemon = await start();
  expect(await daemon.stop(signal)).toBe(0);
  expect(existsSync(pidPath())).toBe(false);
});

test("a second daemon on the port exits 1 and takes the pid file of the first with it", async () => {
  const first = await start();
  const second = await spawnDaemon(home, { SIGNET_PORT: new URL(first.url).port });
  expect(await second.process.exited).toBe(1);
  expect(existsSync(pidPath())).toBe(false);
  expect((await first.send("GET", "/health")).status).toBe(200);
});

test("a database of an older version is fatal before the port is opened", async () => {
  await (await start()).stop();
  const db = new Database(databasePath(home));
  db.run("DELETE FROM schema_migrations WHERE version = 30");
  db.close();
  const daemon = await spawnDaemon(home);
  expect(await daemon.process.exited).toBe(1);
  expect(daemon.output()).toContain("has schema version 29 and lacks version 30");
});

test("logs go where the environment says, one JSON object per line", async () => {
  const file = join(home, "one", "file.log");
  await start({ SIGNET_LOG_FILE: file });
  await waitFor(() => existsSync(file));
  const lines = readFileSync(file, "utf-8").trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).message)).toContain("Daemon ready");
  expect(existsSync(join(home, "logs"))).toBe(false);
});

// Only Linux shows who holds which lock.
describe.if(process.platform === "linux")("the lock on the database", () => {
  const locks = (): string[] => {
    const inode = `:${statSync(databasePath(home)).ino} `;
    return readFileSync("/proc/locks", "utf-8").split("\n").filter((line) => line.includes(inode));
  };

  test("is lost when the start made the schema, and held after the next start", async () => {
    const first = await start();
    expect(locks()).toEqual([]);
    expect(readdirSync(join(home, "memory")).some((name) => name.startsWith("memories.db.bak-v0-"))).toBe(true);
    await first.stop();

    const second = await start();
    expect(locks().map((line) => line.split(/\s+/).slice(1, 5))).toEqual([
      ["POSIX", "ADVISORY", "READ", String(second.process.pid)],
    ]);
  });
});
