/**
 * The routes, in the order in which they are asked: the first that answers wins, so a fixed path does not beat a
 * `:param` before it. This list does not grow; what is not here is a plain 404.
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import { authenticate } from "./auth/guards.ts";
import type { Daemon, Environment } from "./daemon_state.ts";
import { authRoutes } from "./routes/auth.ts";
import { configRoutes } from "./routes/config.ts";
import { deleteRoute } from "./routes/delete.ts";
import { registerGuards } from "./routes/guards.ts";
import { healthRoutes } from "./routes/health.ts";
import { logRoutes } from "./routes/logs.ts";
import { memoryReadRoutes } from "./routes/memories.ts";
import { recallRoutes } from "./routes/recall.ts";
import { rememberRoutes } from "./routes/remember.ts";
import { keywordSearchRoutes } from "./routes/keyword_search.ts";
import { statusRoutes } from "./routes/status.ts";
import { welcomeRoutes } from "./routes/welcome.ts";

export type App = Hono<Environment>;

export function createApp(daemon: Daemon): App {
  const app = new Hono<Environment>();
  app.use("*", cors());
  app.use("*", authenticate(daemon));
  healthRoutes(app, daemon);
  registerGuards(app, daemon);
  authRoutes(app, daemon);
  logRoutes(app, daemon);
  configRoutes(app, daemon);
  keywordSearchRoutes(app, daemon);
  rememberRoutes(app, daemon);
  memoryReadRoutes(app, daemon);
  deleteRoute(app, daemon);
  recallRoutes(app, daemon);
  statusRoutes(app, daemon);
  welcomeRoutes(app);
  return app;
}
