/**
 * Brings a database to the one schema this daemon knows, or refuses. A brand-new file gets all of it at once; there are
 * no steps from older versions here.
 */
import type { Database } from "bun:sqlite";
import { copyFileSync, readdirSync, statSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { BOOKKEEPING_TABLES, FTS_TABLE, FTS_TRIGGERS, TABLES } from "./schema.ts";
import { appliedVersions, LATEST_SCHEMA_VERSION, SCHEMA_VERSIONS } from "./schema_versions.ts";

const BACKUPS_KEPT = 5;

export function openSchema(db: Database, path: string): void {
  const applied = new Set(appliedVersions(db));
  // Versions above the latest are a newer program's business and tolerated.
  const isCurrent = SCHEMA_VERSIONS.every(({ version }) => applied.has(version));
  if (!isCurrent) {
    if (applied.size > 0 || hasMemories(db)) throw new Error(tooOld(path, applied));
    db.exec(BOOKKEEPING_TABLES);
    backUp(db, path);
    createSchema(db);
  }
  repairFullText(db);
}

function hasMemories(db: Database): boolean {
  return db.query("SELECT 1 FROM sqlite_master WHERE name = 'memories'").get() !== null;
}

function tooOld(path: string, applied: ReadonlySet<number>): string {
  const found = Math.max(0, ...applied);
  const missing = SCHEMA_VERSIONS.find(({ version }) => !applied.has(version))?.version;
  return (
    `${path} has schema version ${found} and lacks version ${missing}; this daemon opens only databases that have ` +
    `all of 1 to ${LATEST_SCHEMA_VERSION} and cannot upgrade others. ` +
    "Start the real Signet 0.58.1 once on this directory: it upgrades the database. Then start this daemon again."
  );
}

/**
 * Copies the file before a schema change. Closing the copied file's descriptor drops every POSIX lock this process has
 * on the database: from here to the next start another process cannot see that it is open. The original daemon has the
 * same hazard, and a supervisor must be able to meet it here.
 */
function backUp(db: Database, path: string): void {
  try {
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // Another process may hold the log; a copy without its tail is still a backup.
  }
  const versions = db.query("SELECT MAX(version) AS latest FROM schema_migrations").get() as { latest: number | null };
  const backup = `${path}.bak-v${versions.latest ?? 0}-${Date.now()}`;
  copyFileSync(path, backup);
  console.log(`[database] Backup before the schema change: ${backup}`);
  pruneBackups(path);
}

function pruneBackups(path: string): void {
  const dir = dirname(path);
  const backups = readdirSync(dir)
    .filter((name) => name.startsWith(`${basename(path)}.bak-v`))
    .map((name) => ({ path: join(dir, name), changedAt: statSync(join(dir, name)).mtimeMs }))
    .sort((a, b) => b.changedAt - a.changedAt);
  for (const old of backups.slice(BACKUPS_KEPT)) unlinkSync(old.path);
}

function createSchema(db: Database): void {
  db.transaction(() => {
    db.exec(TABLES);
    db.exec(FTS_TABLE);
    db.exec(FTS_TRIGGERS);
    const appliedAt = new Date().toISOString();
    const record = db.prepare("INSERT INTO schema_migrations (version, applied_at, checksum) VALUES (?, ?, ?)");
    const audit = db.prepare(
      "INSERT INTO schema_migrations_audit (version, applied_at, duration_ms, checksum) VALUES (?, ?, 0, ?)",
    );
    for (const { version, checksum } of SCHEMA_VERSIONS) {
      record.run(version, appliedAt, checksum);
      audit.run(version, appliedAt, checksum);
    }
  }).immediate();
}

/** A database can have lost its full-text table; keyword search would then fail silently. */
function repairFullText(db: Database): void {
  if (db.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'memories_fts'").get() !== null) return;
  db.exec(FTS_TABLE);
  db.exec(FTS_TRIGGERS);
  db.exec("INSERT INTO memories_fts (rowid, content) SELECT rowid, content FROM memories");
  console.log("[database] The full-text table was missing and has been rebuilt");
}
