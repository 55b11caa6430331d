/** How loosely typed input (JSON fields, query strings) becomes a value; undefined means "not usable, as if absent". */

export function optionalString(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  return value.trim() || undefined;
}

function optionalNumber(value: unknown): number | undefined {
  // parseFloat reads a prefix: "10abc" is 10.
  const number = typeof value === "string" && value.trim() !== "" ? Number.parseFloat(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

export function optionalPositiveInteger(value: unknown): number | undefined {
  const number = optionalNumber(value);
  return number !== undefined && Number.isInteger(number) && number > 0 ? number : undefined;
}

export function optionalBoolean(value: unknown): boolean | undefined {
  if (typeof value === "boolean") return value;
  const text = typeof value === "string" ? value.trim().toLowerCase() : value;
  if (text === 1 || text === "1" || text === "true") return true;
  if (text === 0 || text === "0" || text === "false") return false;
  return undefined;
}

/** Comma-separated text as trimmed, non-empty parts. */
export function splitCommas(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** Half towards +infinity, as clients have always seen it. */
export function roundTo2(value: number): number {
  return Math.round(value * 100) / 100;
}
