/** Rules about the text of a memory: normal form and hash, type, prefixes, chunks. Lengths are UTF-16 units. */
import { createHash } from "node:crypto";

export interface NormalizedContent {
  /** What is stored and shown; empty when there is nothing to store. */
  readonly storage: string;
  readonly normalized: string;
  readonly hash: string;
}

export function normalizeContent(content: string): NormalizedContent {
  const storage = content.trim().replace(/\s+/g, " ");
  const lower = storage.toLowerCase();
  // Punctuation alone has no normal form; it then stands for itself, so that "!!!" and "..." stay different.
  const normalized = lower.replace(/[.,!?;:]+$/, "").trim() || lower;
  return { storage, normalized, hash: createHash("sha256").update(normalized).digest("hex") };
}

// The first hint that occurs anywhere decides; the order of this list, not of the text, breaks ties.
const TYPE_HINTS: readonly (readonly [string, string])[] = [
  ["prefer", "preference"],
  ["likes", "preference"],
  ["want", "preference"],
  ["decided", "decision"],
  ["agreed", "decision"],
  ["will use", "decision"],
  ["learned", "learning"],
  ["discovered", "learning"],
  ["til ", "learning"],
  ["bug", "issue"],
  ["issue", "issue"],
  ["broken", "issue"],
  ["never", "rule"],
  ["always", "rule"],
  ["must", "rule"],
];

export function inferType(content: string): string {
  const lower = content.toLowerCase();
  return TYPE_HINTS.find(([hint]) => lower.includes(hint))?.[1] ?? "fact";
}

export interface ParsedContent {
  readonly content: string;
  readonly tags: string | null;
  readonly pinned: boolean;
  readonly importance: number;
}

const CRITICAL_PREFIX = "critical:";

/** Takes `critical:` and then `[tag, tag]:` off the front, once and in this order. */
export function parsePrefixes(raw: string): ParsedContent {
  let content = raw.trim();
  const pinned = content.toLowerCase().startsWith(CRITICAL_PREFIX);
  if (pinned) content = content.slice(CRITICAL_PREFIX.length).trim();

  let tags: string | null = null;
  const tagged = /^\[([^\]]+)\]:\s*(.+)$/s.exec(content);
  if (tagged) {
    const names = (tagged[1] ?? "").split(",").map((tag) => tag.trim().toLowerCase());
    tags = names.filter((tag) => tag !== "").join(",");
    content = (tagged[2] ?? "").trim();
  }
  return { content, tags, pinned, importance: pinned ? 1.0 : 0.8 };
}

/** Sentences packed into chunks of about `target` units; a sentence over twice that length is cut hard. */
export function chunkBySentence(text: string, target: number): string[] {
  const chunks: string[] = [];
  let current = "";
  const flush = (): void => {
    chunks.push(current.trim());
    current = "";
  };
  for (const sentence of text.split(/(?<=[.!?])\s+/)) {
    if (sentence === "") continue;
    if (sentence.length > target * 2) {
      flush();
      for (let start = 0; start < sentence.length; start += target) {
        chunks.push(sentence.slice(start, start + target).trim());
      }
      continue;
    }
    const combined = current === "" ? sentence : `${current} ${sentence}`;
    if (combined.length > target && current !== "") {
      flush();
      current = sentence;
    } else {
      current = combined;
    }
  }
  flush();
  return chunks.filter((chunk) => chunk !== "");
}

/** The tags column as a list: a JSON array keeps its strings, anything else is split at commas. */
export function parseTagsColumn(column: string | null): string[] {
  if (!column) return [];
  try {
    const parsed: unknown = JSON.parse(column);
    if (Array.isArray(parsed)) return parsed.filter((tag) => typeof tag === "string");
  } catch {
    // Not JSON: comma-separated, the usual form.
  }
  return column
    .split(",")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
}
