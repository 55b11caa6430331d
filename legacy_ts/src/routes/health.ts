/** Liveness and feature flags. */
import type { App } from "../app.ts";
import type { Daemon } from "../daemon_state.ts";
import { CONTRACT_VERSION } from "../settings.ts";

export function healthRoutes(app: App, { settings, database, features }: Daemon): void {
  app.get("/health", (c) =>
    c.json({
      status: "healthy",
      uptime: process.uptime(),
      pid: process.pid,
      version: CONTRACT_VERSION,
      port: settings.port,
      agentsDir: settings.home,
      db: answers(() => database.read((connection) => connection.get("SELECT 1"))),
      // This daemon neither looks for updates nor installs them.
      updateAvailable: false,
      pendingRestart: false,
    }),
  );

  app.get("/api/features", (c) => c.json(features));
}

function answers(query: () => unknown): boolean {
  try {
    query();
    return true;
  } catch {
    return false;
  }
}
