/** Who am I, and new tokens. */
import type { App } from "../app.ts";
import { ROLES } from "../auth/policy.ts";
import { createToken } from "../auth/tokens.ts";
import type { Daemon } from "../daemon_state.ts";
import { readJson } from "../request.ts";

export function authRoutes(app: App, daemon: Daemon): void {
  app.get("/api/auth/whoami", (c) => {
    const { authenticated, claims } = c.get("auth");
    return c.json({ authenticated, claims, mode: daemon.auth.mode });
  });

  app.post("/api/auth/token", async (c) => {
    if (!daemon.secret) return c.json({ error: "auth secret not available (local mode?)" }, 400);
    const request = await readJson(c);
    if (request === "unparsable" || !request.body) return c.json({ error: "invalid request body" }, 400);

    const { role, scope, ttlSeconds } = request.body;
    if (typeof role !== "string" || !ROLES.includes(role)) {
      return c.json({ error: `role must be one of: ${ROLES.join(", ")}` }, 400);
    }
    const ttl = typeof ttlSeconds === "number" && ttlSeconds > 0 ? ttlSeconds : daemon.auth.defaultTokenTtlSeconds;
    const token = createToken(daemon.secret, role, scope ?? {}, ttl);
    return c.json({ token, expiresAt: new Date(Date.now() + ttl * 1000).toISOString() });
  });
}
