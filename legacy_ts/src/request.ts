/** Reading a request in the contract's ways. */
import type { Context } from "hono";
import type { Environment } from "./daemon_state.ts";

export type RequestContext = Context<Environment>;
export type JsonObject = Readonly<Record<string, unknown>>;

export const INVALID_JSON = { error: "Invalid JSON body" } as const;

/**
 * The body as JSON of any type; "unparsable" when it is not JSON. A `null` body is passed on: reading a field of it
 * throws, which clients see as a 500.
 */
export async function readJson(c: RequestContext): Promise<{ body: JsonObject } | "unparsable"> {
  try {
    return { body: await c.req.json<JsonObject>() };
  } catch {
    return "unparsable";
  }
}

/** A JSON object, {} for a blank body, null for anything else. */
export async function readOptionalObject(c: RequestContext): Promise<JsonObject | null> {
  const text = await c.req.raw.text();
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
  } catch {
    return null;
  }
}

/** The `:id` of the path, decoded and trimmed; "" when only blanks were sent. */
export function memoryId(c: RequestContext): string {
  return (c.req.param("id") ?? "").trim();
}

export const MISSING_MEMORY_ID = { error: "memory id is required" } as const;
