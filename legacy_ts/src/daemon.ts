/**
 * The entry: start, run, stop. The order of the start is part of the contract with supervisors: the database is opened
 * and the pid file written before the port is known to be free, so a second daemon on a used port disturbs the first.
 */
import { existsSync, mkdirSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { serve } from "@hono/node-server";
import { createApp } from "./app.ts";
import { RateLimiter } from "./auth/rate_limiter.ts";
import { loadOrCreateSecret } from "./auth/tokens.ts";
import { MemoryDatabase } from "./database.ts";
import { createEmbedder } from "./embedder.ts";
import { readFeatureFlags } from "./feature_flags.ts";
import { Logger } from "./logger.ts";
import { readMemoryConfig } from "./memory_config.ts";
import { CONTRACT_VERSION, logDestination, readSettings, type Settings } from "./settings.ts";
import { VectorExtension } from "./vector_table.ts";

const settings = readSettings(process.env);
const { dir, file } = logDestination(settings);
const logger = new Logger(dir, file);
let database: MemoryDatabase | null = null;

/** Removes the pid file without asking whose pid it holds, as supervisors of the contract expect. */
function stop(exitCode: number): never {
  logger.info("daemon", "Shutting down");
  try {
    database?.close();
    if (existsSync(settings.pidPath)) unlinkSync(settings.pidPath);
  } finally {
    process.exit(exitCode);
  }
}

process.on("SIGINT", () => stop(0));
process.on("SIGTERM", () => stop(0));
process.on("uncaughtException", (error) => {
  logger.error("daemon", "Uncaught exception", error);
  stop(1);
});

function start(): void {
  const { home, port, host, bindHost } = settings;
  logger.info("daemon", "Signet Daemon starting");
  logger.info("daemon", "Agents directory", { path: home });
  logger.info("daemon", "Network configured", { port, host, bindHost });

  mkdirSync(join(settings.daemonDir, "logs"), { recursive: true });
  mkdirSync(dirname(settings.databasePath), { recursive: true });
  database = new MemoryDatabase(settings.databasePath, new VectorExtension(settings.vecPath));
  writeFileSync(settings.pidPath, String(process.pid));
  logger.info("daemon", "Process ID", { pid: process.pid });

  const { auth, embedding } = readMemoryConfig(home);
  const { provider, model, dimensions } = embedding;
  logger.info("config", "Resolved embedding config", { provider, model, dimensions });
  const secret = auth.mode === "local" ? null : loadOrCreateSecret(settings.authSecretPath);
  logger.info("auth", "Authentication", { mode: auth.mode });

  const app = createApp({
    settings,
    logger,
    database,
    embed: createEmbedder(logger),
    auth,
    secret,
    limiters: { admin: new RateLimiter(auth.limits.admin), forget: new RateLimiter(auth.limits.forget) },
    features: readFeatureFlags(home),
  });
  serve({ fetch: app.fetch, port, hostname: bindHost }, (address) => {
    logger.info("daemon", "Server listening", { address: address.address, port: address.port });
    logger.info("daemon", "Daemon ready");
    recordHealthyStart(settings);
  });
}

/** Read by the real daemon at its next start, to tell an upgrade. */
function recordHealthyStart({ lastHealthyStartPath }: Settings): void {
  const record = { version: CONTRACT_VERSION, startedAt: new Date().toISOString(), pid: process.pid };
  writeFileSync(lastHealthyStartPath, JSON.stringify(record));
}

try {
  start();
} catch (error) {
  logger.error("daemon", "Fatal error", error);
  process.exit(1);
}
