/** `DELETE /api/memory/:id`: marks a memory as deleted. Its text stays in both indexes and can still be found. */
import type { App } from "../app.ts";
import { optionalBoolean, optionalPositiveInteger, optionalString } from "../coercion.ts";
import type { Daemon } from "../daemon_state.ts";
import { type Actor, type ForgetOutcome, forgetMemory } from "../forget.ts";
import { readMemoryConfig } from "../memory_config.ts";
import { INVALID_JSON, MISSING_MEMORY_ID, memoryId, type RequestContext, readOptionalObject } from "../request.ts";

const ACTOR_TYPES = ["operator", "pipeline", "harness", "sdk", "daemon"];
const INVALID_VERSION = { error: "if_version must be a positive integer" } as const;

const REPLIES: Readonly<Record<ForgetOutcome["status"], { status: 200 | 403 | 404 | 409; error?: string }>> = {
  deleted: { status: 200 },
  not_found: { status: 404, error: "Not found" },
  already_deleted: { status: 409 },
  version_conflict: { status: 409, error: "Version conflict" },
  pinned_requires_force: { status: 409, error: "Pinned memories require force=true" },
  autonomous_force_denied: { status: 403, error: "Autonomous agents cannot force-delete pinned memories" },
};

export function deleteRoute(app: App, { database, settings }: Daemon): void {
  app.delete("/api/memory/:id", async (c) => {
    const body = await readOptionalObject(c);
    if (body === null) return c.json(INVALID_JSON, 400);
    const id = memoryId(c);
    if (id === "") return c.json(MISSING_MEMORY_ID, 400);

    const reason = optionalString(body.reason) ?? optionalString(c.req.query("reason"));
    if (!reason) return c.json({ error: "reason is required" }, 400);
    const forceInBody = optionalBoolean(body.force);
    if (Object.hasOwn(body, "force") && forceInBody === undefined) {
      return c.json({ error: "force must be a boolean" }, 400);
    }
    const force = forceInBody ?? optionalBoolean(c.req.query("force")) ?? false;

    const versionInBody = optionalPositiveInteger(body.if_version);
    if (Object.hasOwn(body, "if_version") && versionInBody === undefined) return c.json(INVALID_VERSION, 400);
    const versionInQuery = optionalPositiveInteger(c.req.query("if_version"));
    if (c.req.query("if_version") !== undefined && versionInQuery === undefined) return c.json(INVALID_VERSION, 400);
    const ifVersion = versionInBody ?? versionInQuery ?? null;

    if (readMemoryConfig(settings.home).pipeline.mutationsFrozen) {
      return c.json({ error: "Mutations are frozen (kill switch active)" }, 503);
    }
    const actor = resolveActor(c, optionalString(body.changed_by));
    const outcome = database.write((connection) => forgetMemory(connection, { id, reason, force, ifVersion, actor }));
    const { status, error } = REPLIES[outcome.status];
    return c.json({ id, ...outcome, ...(error && { error }) }, status);
  });
}

/** A token speaks for itself; without one the headers are believed, then the body. */
function resolveActor(c: RequestContext, changedBy: string | undefined): Actor {
  const { claims } = c.get("auth");
  const sessionId = optionalString(c.req.header("x-signet-session-id")) ?? null;
  const requestId = optionalString(c.req.header("x-signet-request-id")) ?? null;
  if (claims) return { changedBy: claims.sub, type: claims.role, sessionId, requestId };
  const type = optionalString(c.req.header("x-signet-actor-type"));
  return {
    changedBy: optionalString(c.req.header("x-signet-actor")) ?? changedBy ?? "daemon",
    type: type && ACTOR_TYPES.includes(type) ? type : "operator",
    sessionId,
    requestId,
  };
}
