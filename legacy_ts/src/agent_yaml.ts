/**
 * The subset of YAML that agent.yaml is read with: mappings by indentation and one-line scalars. No lists, no inline
 * comments, no escapes. A quote never protects a value from becoming a number, boolean or null.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Mapping {
  [key: string]: Value;
}
export type Value = string | number | boolean | null | Mapping;

export function parseAgentYaml(text: string): Mapping {
  const root: Mapping = {};
  const open: { indent: number; mapping: Mapping }[] = [];
  for (const line of text.split("\n")) {
    const content = line.trim();
    if (content === "" || content.startsWith("#") || content === "---" || content === "...") continue;

    const indent = line.search(/\S/);
    while ((open.at(-1)?.indent ?? -1) >= indent) open.pop();

    const colon = content.indexOf(":");
    if (colon === -1) continue;
    const parent = open.at(-1)?.mapping ?? root;
    const key = content.slice(0, colon).trim();
    const value = content.slice(colon + 1).trim();
    if (value === "" || value === "|") {
      const mapping: Mapping = {};
      parent[key] = mapping;
      open.push({ indent, mapping });
    } else {
      parent[key] = value.startsWith("|") ? "" : parseScalar(value);
    }
  }
  return root;
}

function parseScalar(raw: string): Value {
  const text = raw.replace(/^["']/, "").replace(/["']$/, "");
  if (text === "true") return true;
  if (text === "false") return false;
  if (text === "null" || text === "~") return null;
  if (/^-?\d+$/.test(text)) return Number.parseInt(text, 10);
  if (/^-?\d+\.\d+$/.test(text)) return Number.parseFloat(text);
  return text;
}

/** The first of the named files that exists and can be read; null when there is none. */
export function readAgentYaml(home: string, names: readonly string[]): Mapping | null {
  for (const name of names) {
    const path = join(home, name);
    if (!existsSync(path)) continue;
    try {
      return parseAgentYaml(readFileSync(path, "utf-8"));
    } catch {
      // An unreadable file (a directory, missing permission) counts as absent.
    }
  }
  return null;
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null;
}

/** The value at a path of keys; undefined when anything on the way is not a mapping. */
export function lookUp(value: Value | undefined, ...keys: readonly string[]): Value | undefined {
  let current = value;
  for (const key of keys) {
    if (!isMapping(current)) return undefined;
    current = current[key];
  }
  return current;
}
