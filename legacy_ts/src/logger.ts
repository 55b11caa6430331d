/**
 * One log entry goes three ways: a human line on stdout at once, a JSON line in the file within a second, and every
 * subscriber of the stream at once. Reading files back is in log_files.ts.
 */
import { appendFileSync, existsSync, mkdirSync, renameSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { listLogFiles } from "./log_files.ts";

// Nothing here writes debug; files of the real daemon are read with the same ranks.
export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogData = Record<string, unknown>;

export interface LogEntry {
  timestamp: string;
  level: LogLevel;
  category: string;
  message: string;
  data?: LogData;
  duration?: number;
  error?: { name: string; message: string; stack?: string };
}

export const LEVEL_RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

const FLUSH_INTERVAL_MS = 1000;
const MAX_FILE_BYTES = 10 * 1024 * 1024;
const MAX_FILES = 5;
const COLOR: Readonly<Record<LogLevel, string>> = { debug: "90", info: "36", warn: "33", error: "31" };

export class Logger {
  private readonly subscribers = new Set<(entry: LogEntry) => void>();
  private buffer: LogEntry[] = [];
  private writesFiles = true;
  private livePath: string;

  constructor(
    readonly dir: string,
    readonly fixedFile: string | null,
  ) {
    this.livePath = this.currentPath();
    try {
      mkdirSync(dir, { recursive: true });
    } catch (error) {
      this.stopWritingFiles(error);
    }
    // Entries of the last second before exit are lost on purpose of the contract: nothing flushes at exit.
    setInterval(() => this.flush(), FLUSH_INTERVAL_MS);
  }

  get readsFiles(): boolean {
    return this.writesFiles;
  }

  subscribe(listener: (entry: LogEntry) => void): () => void {
    this.subscribers.add(listener);
    return () => this.subscribers.delete(listener);
  }

  info(category: string, message: string, data?: LogData): void {
    this.write({ timestamp: now(), level: "info", category, message, ...(data && { data }) });
  }

  warn(category: string, message: string, detail?: LogData | Error): void {
    const rest = detail instanceof Error ? { error: describe(detail) } : detail && { data: detail };
    this.write({ timestamp: now(), level: "warn", category, message, ...rest });
  }

  error(category: string, message: string, cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.write({ timestamp: now(), level: "error", category, message, error: describe(error) });
  }

  private write(entry: LogEntry): void {
    console.log(humanLine(entry));
    this.buffer.push(entry);
    for (const listener of [...this.subscribers]) listener(entry);
    this.rotateWhenFull();
  }

  private flush(): void {
    if (this.buffer.length === 0) return;
    const lines = this.buffer.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    this.buffer = [];
    if (!this.writesFiles) return;
    try {
      this.livePath = this.currentPath();
      appendFileSync(this.livePath, lines);
    } catch (error) {
      this.stopWritingFiles(error);
    }
  }

  private currentPath(): string {
    return this.fixedFile ?? join(this.dir, `signet-${now().slice(0, 10)}.log`);
  }

  private stopWritingFiles(error: unknown): void {
    this.writesFiles = false;
    console.error(`Log files are off until the next start: cannot write to ${this.dir}:`, error);
  }

  private rotateWhenFull(): void {
    if (!this.writesFiles || this.fixedFile) return;
    try {
      if (!existsSync(this.livePath) || statSync(this.livePath).size <= MAX_FILE_BYTES) return;
      renameSync(this.livePath, this.livePath.replace(".log", `-${now().replace(/[:.]/g, "-")}.log`));
      for (const path of listLogFiles(this.dir, null).slice(MAX_FILES)) unlinkSync(path);
    } catch {
      // Logging must not fail because of housekeeping; the next write tries again.
    }
  }
}

function now(): string {
  return new Date().toISOString();
}

function describe(error: Error): { name: string; message: string; stack?: string } {
  return { name: error.name, message: error.message, ...(error.stack !== undefined && { stack: error.stack }) };
}

function humanLine(entry: LogEntry): string {
  const dim = (text: string): string => `\x1b[2m${text}\x1b[0m`;
  const level = `\x1b[${COLOR[entry.level]}m${entry.level.toUpperCase().padEnd(5)}\x1b[0m`;
  let line = `${dim(entry.timestamp.slice(11, 19))} ${level} ${`[${entry.category}]`.padEnd(12)} ${entry.message}`;
  if (entry.data && Object.keys(entry.data).length > 0) line += ` ${dim(JSON.stringify(entry.data))}`;
  if (entry.error) line += `\n  \x1b[31m${entry.error.name}: ${entry.error.message}\x1b[0m`;
  return line;
}
