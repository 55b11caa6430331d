/** Which permission a path needs. Registered before the routes, and for every method unless a line says otherwise. */
import type { App } from "../app.ts";
import { both, dropRefusal, limitRate, requirePermission } from "../auth/guards.ts";
import { refuseProject } from "../auth/policy.ts";
import type { Daemon } from "../daemon_state.ts";

export function registerGuards(app: App, daemon: Daemon): void {
  const needs = {
    admin: requirePermission(daemon, "admin"),
    remember: requirePermission(daemon, "remember"),
    recall: requirePermission(daemon, "recall"),
    forget: requirePermission(daemon, "forget"),
  };
  const limitAdmin = limitRate(daemon, "admin", daemon.limiters.admin);
  const limitForget = limitRate(daemon, "forget", daemon.limiters.forget);

  app.use("/api/auth/token", dropRefusal(both(needs.admin, limitAdmin)));
  for (const path of ["/api/memory/remember", "/api/memory/save", "/api/hook/remember"]) {
    app.use(path, needs.remember);
  }
  for (const path of ["/api/memory/recall", "/api/memory/search", "/memory/search", "/memory/similar"]) {
    app.use(path, needs.recall);
  }

  app.use("/api/memory/:id", async (c, next) => {
    switch (c.req.method) {
      case "GET":
        // HEAD reads the same row without the permission, as clients know it.
        return needs.recall(c, next);
      case "DELETE": {
        const refusal = refuseForeignProject(daemon, c.get("auth").claims, c.req.param("id"));
        if (refusal) return c.json({ error: refusal }, 403);
        return both(needs.forget, limitForget)(c, next);
      }
      default:
        return next();
    }
  });
}

/** A token bound to a project touches only rows of that project, or of none. */
function refuseForeignProject(
  { auth, database }: Daemon,
  claims: Parameters<typeof refuseProject>[0] | null,
  id: string,
): string | null {
  const scope = claims?.scope;
  if (auth.mode === "local" || !claims || !scope?.project) return null;
  const row = database.read((connection) =>
    connection.get<{ project: string | null }>("SELECT project FROM memories WHERE id = ?", [id]),
  );
  return row && refuseProject(claims, scope, row.project);
}
