import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { openSchema } from "../src/open_schema.ts";
import { SCHEMA_VERSIONS } from "../src/schema_versions.ts";
import { databasePath, makeHome, removeHome } from "./support.ts";

let home: string;
let db: Database;
beforeEach(() => {
  home = makeHome();
  db = new Database(databasePath(home));
  db.exec("PRAGMA journal_mode = WAL");
});
afterEach(() => {
  db.close();
  removeHome(home);
});

const open = (): void => openSchema(db, databasePath(home));
const addMemory = (id: string, content: string): void =>
  void db.run("INSERT INTO memories (id, content, created_at, updated_at) VALUES (?, ?, '2026', '2026')", [id, content]);
const found = (word: string): unknown[] =>
  db.query("SELECT m.id FROM memories_fts JOIN memories m ON m.rowid = memories_fts.rowid WHERE memories_fts MATCH ?")
    .values(word)
    .flat();

test("all thirty versions are recorded with the checksums of the contract", () => {
  open();
  const checksums = (
    "-d014c92 -71a9d1c1 635f2097 -35c6442f 1530c8bd 3a33159f -4b0d52ec -79cf5945 -4a347442 6e5e6737 15eb8fd2 75b24315 " +
    "398a4398 3e9bbb22 5285ad4c 6426d25f 5bf4da36 6ece2334 4a276692 -5df65683 3894d747 38d77059 -22583d6d -1adadebe " +
    "15171f64 378d000d 5542b7e1 -53defc7f 6a496e79 -6135fde6"
  ).split(" ");
  expect(SCHEMA_VERSIONS.map((version) => version.checksum)).toEqual(checksums);
  expect(db.query("SELECT version, checksum FROM schema_migrations ORDER BY version").values()).toEqual(
    checksums.map((checksum, index) => [index + 1, checksum]),
  );
  expect(db.query("SELECT count(*) FROM schema_migrations_audit").values()).toEqual([[30]]);
});

test("a new database is backed up before it gets its tables, a current one is not", () => {
  open();
  open();
  const backups = readdirSync(join(home, "memory")).filter((name) => name.includes(".bak-v"));
  expect(backups).toHaveLength(1);
  const backup = new Database(join(home, "memory", backups[0] ?? ""), { readonly: true });
  expect(backup.query("SELECT name FROM sqlite_master WHERE name = 'memories'").get()).toBeNull();
  backup.close();
});

test("full-text search follows inserts, updates and deletes", () => {
  open();
  addMemory("a", "red fox");
  expect(found("fox")).toEqual(["a"]);
  db.run("UPDATE memories SET content = 'blue whale' WHERE id = 'a'");
  expect([found("fox"), found("whale")]).toEqual([[], ["a"]]);
  db.run("DELETE FROM memories WHERE id = 'a'");
  expect(found("whale")).toEqual([]);
});

test("a lost full-text table is rebuilt with its rows", () => {
  open();
  addMemory("a", "red fox");
  db.run("DROP TABLE memories_fts");
  open();
  expect(found("fox")).toEqual(["a"]);
});

test("the same text can be stored again only after the first was deleted", () => {
  open();
  const sql = "INSERT INTO memories (id, content, content_hash, created_at, updated_at) VALUES (?, 'x', 'h', '', '')";
  const insert = (id: string): void => void db.run(sql, [id]);
  insert("a");
  expect(() => insert("b")).toThrow("UNIQUE constraint");
  db.run("UPDATE memories SET is_deleted = 1 WHERE id = 'a'");
  insert("b");
});

test("a database that lacks a version is refused with the version and the way out, and left as it was", () => {
  open();
  db.run("DELETE FROM schema_migrations WHERE version > 12");
  expect(open).toThrow(/schema version 12 and lacks version 13.*Start the real Signet 0\.58\.1 once/);
  expect(db.query("SELECT max(version) FROM schema_migrations").values()).toEqual([[12]]);
});

test("versions above thirty are tolerated", () => {
  open();
  db.run("INSERT INTO schema_migrations VALUES (31, '2027', 'x')");
  open();
});
