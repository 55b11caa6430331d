/** Which schema versions a database has, and what each is recorded as. */
import type { Database } from "bun:sqlite";
import { SCHEMA_VERSION_NAMES } from "./schema.ts";

export const LATEST_SCHEMA_VERSION = SCHEMA_VERSION_NAMES.length;

export interface SchemaVersion {
  readonly version: number;
  readonly checksum: string;
}

export const SCHEMA_VERSIONS: readonly SchemaVersion[] = SCHEMA_VERSION_NAMES.map((name, index) => ({
  version: index + 1,
  checksum: rollingHash(`${index + 1}:${name}`),
}));

/** Versions on record, ascending; [] for a database without the bookkeeping table. */
export function appliedVersions(db: Database): number[] {
  const table = db.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'").get();
  if (!table) return [];
  const rows = db.query("SELECT version FROM schema_migrations ORDER BY version").all() as { version: number }[];
  return rows.map((row) => row.version);
}

/** Signed 32-bit `h * 31 + unit`, in hexadecimal without padding. */
function rollingHash(text: string): string {
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0;
  }
  return hash.toString(16);
}
