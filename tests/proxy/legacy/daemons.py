"""Small daemons for the tests of supervision: real Bun processes with one misbehaviour each.

Each keeps the contract that a supervisor sees: it opens `memory/memories.db` in WAL mode and holds it, writes the pid
file, answers /health, and exits with code 0 on SIGTERM.
"""

from __future__ import annotations

from pathlib import Path

_PREAMBLE = """
import { Database } from "bun:sqlite";
import { copyFileSync, mkdirSync, writeFileSync, unlinkSync, existsSync } from "node:fs";
const home = process.env.SIGNET_PATH;
const port = Number(process.env.SIGNET_PORT);
mkdirSync(`${home}/memory`, { recursive: true });
function openDatabase(version = 30) {
  const db = globalThis.db = new Database(`${home}/memory/memories.db`, { create: true });
  db.exec("PRAGMA journal_mode=WAL; PRAGMA busy_timeout=5000");
  db.exec("CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY)");
  db.exec(`INSERT OR IGNORE INTO schema_migrations VALUES (${version})`);
  return db;  // kept in a global: a collected Database closes its file
}
const pidPath = `${home}/.daemon/pid`;
writeFileSync(pidPath, String(process.pid));
process.on("SIGTERM", () => { if (existsSync(pidPath)) unlinkSync(pidPath); process.exit(0); });
const health = { status: "healthy", db: true, pid: process.pid, version: "0.58.1", agentsDir: home };
function listen(fetch = () => Response.json(health)) {
  const options = { port, hostname: "127.0.0.1", idleTimeout: 60, fetch };
  // A replacement waits for its predecessor's port.
  for (;;) try { return Bun.serve(options); } catch { Bun.sleepSync(10); }
}
"""

# One route per fault, so that a test chooses the moment.
OBEDIENT = """
openDatabase();
listen(async (request) => {
  const url = new URL(request.url);
  const seconds = Number(url.searchParams.get("seconds"));
  switch (url.pathname) {
    case "/exit": setTimeout(() => process.exit(Number(url.searchParams.get("code"))), 5); break;
    case "/compute": setTimeout(() => { const end = Date.now() + seconds * 1000; while (Date.now() < end); }, 5); break;
    case "/hang": setTimeout(() => Bun.sleepSync(seconds * 1000), 5); break;
    case "/print": {
      const block = ("x".repeat(99) + "\\n").repeat(655);
      for (let left = Number(url.searchParams.get("bytes")); left > 0; left -= block.length)
        process.stdout.write(block);
      break;
    }
    case "/environment": return Response.json({ environment: process.env, cwd: process.cwd(), args: process.argv });
    case "/replace-yourself":
      Bun.spawn([process.execPath, process.argv[1]], { detached: true, stdio: ["ignore", "ignore", "ignore"] }).unref();
      setTimeout(() => process.exit(0), 300);
  }
  return Response.json(health);
});
"""

# As legacy does it: the copy is made in the process that has the database open, and costs it its lock.
MIGRATES_WHEN_ASKED = """
const db = openDatabase();
listen((request) => {
  db.exec(`CREATE TABLE IF NOT EXISTS notes (text); INSERT INTO notes VALUES ('from ${process.pid}')`);
  return Response.json(health);
});
if (existsSync(`${home}/migrate`)) {
  unlinkSync(`${home}/migrate`);
  copyFileSync(`${home}/memory/memories.db`, `${home}/memory/memories.db.bak-v29-${Date.now()}`);
}
"""

NEVER_LISTENS = "openDatabase(); setInterval(() => {}, 1000);"

DATABASE_SHUT = "openDatabase(); listen(() => Response.json({ ...health, db: false }));"

CRASHES_AT_ONCE = 'console.error("fatal: no such table: memories"); process.exit(1);'

WITHOUT_DATABASE = "listen();"

NEWER_SCHEMA = "openDatabase(31); listen();"

OTHER_VERSION = 'openDatabase(); listen(() => Response.json({ ...health, version: "0.59.0" }));'

IGNORES_SIGTERM = """
openDatabase();
process.removeAllListeners("SIGTERM");
process.on("SIGTERM", () => {});
listen();
"""

CRASHES_UNLESS_REPAIRED = """
openDatabase();
if (!existsSync(`${home}/repaired`)) process.exit(1);
listen();
"""

NEEDS_TOKEN = """
openDatabase();
listen((request) => request.headers.get("authorization") === "Bearer minted"
  ? Response.json(health) : Response.json({ error: "unauthorized" }, { status: 401 }));
"""


def write_daemon(folder: Path, behaviour: str) -> Path:
    """The path of a daemon script that Bun can run."""
    path = folder / "daemon.js"
    path.write_text(_PREAMBLE + behaviour)
    return path
