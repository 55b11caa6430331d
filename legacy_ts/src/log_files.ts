/** Log files read back, newest file first; the reply is oldest entry first. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LEVEL_RANK, type LogEntry } from "./logger.ts";

export interface LogQuery {
  /** NaN means every entry; 0 and less mean none. */
  readonly limit: number;
  readonly level: string | undefined;
  readonly category: string | undefined;
  readonly since: Date | undefined;
}

const FILE_NAME = /^signet-(\d{4}-\d{2}-\d{2})(?:-(.+))?\.log$/;

/** Paths of the log files: latest day first, within a day the live file, then its archives from new to old. */
export function listLogFiles(dir: string, fixedFile: string | null): string[] {
  if (fixedFile) return existsSync(fixedFile) ? [fixedFile] : [];
  if (!existsSync(dir)) return [];
  const files = readdirSync(dir).flatMap((name) => {
    const match = FILE_NAME.exec(name);
    return match ? [{ name, day: match[1] ?? "", archive: match[2] }] : [];
  });
  files.sort((a, b) => {
    if (a.day !== b.day) return b.day.localeCompare(a.day);
    if (a.archive === undefined || b.archive === undefined) return a.archive === undefined ? -1 : 1;
    return b.archive.localeCompare(a.archive);
  });
  return files.map((file) => join(dir, file.name));
}

/** The last entries that match. The tail is cut before filtering, so a filtered query can find fewer than exist. */
export function readRecentEntries(paths: readonly string[], query: LogQuery): LogEntry[] {
  const tail = query.limit * 2;
  const found: LogEntry[] = [];
  for (const path of paths) {
    if (found.length >= tail) break;
    for (const line of readLines(path).slice(-tail)) {
      const entry = parseEntry(line);
      if (entry && matches(entry, query)) found.push(entry);
    }
  }
  found.sort((a, b) => new Date(a.timestamp).getTime() - new Date(b.timestamp).getTime());
  return found.slice(-query.limit);
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf-8").trim().split("\n").filter((line) => line !== "");
  } catch {
    return [];
  }
}

function parseEntry(line: string): LogEntry | null {
  try {
    return JSON.parse(line) as LogEntry | null;
  } catch {
    return null;
  }
}

function matches(entry: LogEntry, query: LogQuery): boolean {
  if (query.level) {
    const wanted = (LEVEL_RANK as Record<string, number | undefined>)[query.level];
    if (wanted !== undefined && LEVEL_RANK[entry.level] < wanted) return false;
  }
  if (query.category && entry.category !== query.category) return false;
  return !(query.since && new Date(entry.timestamp) < query.since);
}
