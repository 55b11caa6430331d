/** What the environment decides, read once. What can change while the daemon runs is in agent.yaml instead. */
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** The contract this daemon speaks; clients read it as the version of Signet. */
export const CONTRACT_VERSION = "0.58.1";

const DEFAULT_PORT = 3850;

export interface Settings {
  readonly home: string;
  readonly daemonDir: string;
  readonly databasePath: string;
  readonly pidPath: string;
  readonly authSecretPath: string;
  readonly lastHealthyStartPath: string;
  readonly port: number;
  readonly host: string;
  readonly bindHost: string;
  /** Where the daemon reaches itself: a wildcard address can be bound, not called. */
  readonly selfHost: string;
  readonly logFile: string | null;
  readonly logDir: string | null;
  readonly vecPath: string | null;
}

export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const text = (name: string): string | null => env[name]?.trim() || null;
  const home = env.SIGNET_PATH || join(homedir(), ".agents");
  const daemonDir = join(home, ".daemon");
  const host = asIPv4Loopback(text("SIGNET_HOST") ?? "127.0.0.1");
  const bindHost = asIPv4Loopback(text("SIGNET_BIND") ?? host);
  return {
    home,
    daemonDir,
    databasePath: join(home, "memory", "memories.db"),
    pidPath: join(daemonDir, "pid"),
    authSecretPath: join(daemonDir, "auth-secret"),
    lastHealthyStartPath: join(daemonDir, "last-healthy-start"),
    port: parsePort(text("SIGNET_PORT")),
    host,
    bindHost,
    selfHost: bindHost === "0.0.0.0" || bindHost === "::" ? "127.0.0.1" : bindHost,
    logFile: text("SIGNET_LOG_FILE"),
    logDir: text("SIGNET_LOG_DIR"),
    vecPath: text("SIGNET_VEC_PATH"),
  };
}

/** Where log lines go. Without a log variable this is bound to HOME, not to the data directory. */
export function logDestination(settings: Settings): { dir: string; file: string | null } {
  if (settings.logFile) return { dir: dirname(settings.logFile), file: settings.logFile };
  return { dir: settings.logDir ?? join(homedir(), ".agents", ".daemon", "logs"), file: null };
}

function parsePort(raw: string | null): number {
  const port = Number.parseInt(raw ?? "", 10);
  return port >= 1 && port <= 65535 ? port : DEFAULT_PORT;
}

function asIPv4Loopback(host: string): string {
  return host === "localhost" || host === "::1" ? "127.0.0.1" : host;
}
