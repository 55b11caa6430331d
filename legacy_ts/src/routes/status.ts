/** The status page: the contract's keys in its order, null or zero for what this daemon does not have. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { lookUp, readAgentYaml, type Value } from "../agent_yaml.ts";
import type { App } from "../app.ts";
import type { Daemon } from "../daemon_state.ts";
import { readMemoryConfig } from "../memory_config.ts";
import { CONTRACT_VERSION, type Settings } from "../settings.ts";

const CONFIG_FILES = ["agent.yaml", "AGENT.yaml"];

export function statusRoutes(app: App, { settings }: Daemon): void {
  // Like the resolution of the contract's daemon, this is a fact of the start.
  const providers = resolveProviders(settings.home);

  app.get("/api/status", (c) => {
    const { pipeline, embedding } = readMemoryConfig(settings.home);
    const uptime = process.uptime();
    const created = lookUp(readAgentYaml(settings.home, CONFIG_FILES) ?? {}, "agent", "created");
    return c.json({
      status: "running",
      version: CONTRACT_VERSION,
      pid: process.pid,
      uptime,
      startedAt: new Date(Date.now() - uptime * 1000).toISOString(),
      port: settings.port,
      host: settings.host,
      bindHost: settings.bindHost,
      agentsDir: settings.home,
      memoryDb: existsSync(settings.databasePath),
      pipelineV2: pipeline,
      providerResolution: providers,
      logging: loggingSettings(settings),
      activeSessions: 0,
      bypassedSessions: 0,
      agentCreatedAt: created ? String(created) : null,
      health: null,
      update: {
        currentVersion: CONTRACT_VERSION,
        latestVersion: null,
        updateAvailable: false,
        pendingRestart: null,
        autoInstall: false,
        checkInterval: 0,
        lastCheckAt: null,
        lastError: null,
        timerActive: false,
      },
      embedding: { provider: embedding.provider, model: embedding.model },
    });
  });
}

interface Resolution {
  readonly configured: Value;
  readonly resolved: string | null;
  /** Always null: no model provider runs here, whatever is configured. */
  readonly effective: null;
}

function resolveProviders(home: string): { extraction: Resolution; synthesis: Resolution } {
  const yaml = readAgentYaml(home, [...CONFIG_FILES, "config.yaml"]) ?? {};
  const section = lookUp(yaml, "memory", "pipelineV2");
  const { extraction, synthesis } = readMemoryConfig(home).pipeline;
  const configured = (...paths: string[][]): Value => {
    const values = paths.map((path) => lookUp(section, ...path));
    return values.find((value) => typeof value === "string") ?? null;
  };
  return {
    extraction: {
      configured: configured(["extractionProvider"], ["extraction", "provider"]),
      resolved: extraction.provider,
      effective: null,
    },
    synthesis: {
      configured: configured(["synthesis", "provider"]),
      resolved: synthesis.enabled ? synthesis.provider : null,
      effective: null,
    },
  };
}

/** As configured. Without a log variable the logger writes below HOME, which this does not say. */
function loggingSettings(settings: Settings): { logDir: string; logFile: string } {
  const dir = settings.logDir ?? join(settings.daemonDir, "logs");
  const dated = join(dir, `signet-${new Date().toISOString().slice(0, 10)}.log`);
  return settings.logFile
    ? { logDir: dirname(settings.logFile), logFile: settings.logFile }
    : { logDir: dir, logFile: dated };
}
