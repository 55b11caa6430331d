/** A real daemon as a child process, on a free port, in a home below the temporary directory. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ENTRY = join(import.meta.dir, "..", "src", "daemon.ts");
const START_DEADLINE_MS = 5000;

/** Without embeddings and without the configuration migration of the real daemon. */
export const PLAIN = `configVersion: 99
embedding:
  provider: none
memory:
  pipelineV2:
    enabled: false
`;

export interface Daemon {
  readonly home: string;
  readonly url: string;
  readonly process: Bun.Subprocess;
  /** Sends one request; a body that is not text goes as JSON. */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
  configure(yaml: string): void;
  output(): string;
  /** Asks the daemon to stop; its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // Replies have many shapes; a test reads the fields it is about.
  readonly json: any;
}

export function makeHome(yaml = PLAIN): string {
  const home = mkdtempSync(join(tmpdir(), "legacy-ts-"));
  mkdirSync(join(home, "memory"));
  writeFileSync(join(home, "agent.yaml"), yaml);
  return home;
}

export function removeHome(home: string): void {
  rmSync(home, { recursive: true, force: true });
}

export function databasePath(home: string): string {
  return join(home, "memory", "memories.db");
}

/** Starts the program and does not wait for it to answer. */
export async function spawnDaemon(home: string, env: Record<string, string> = {}): Promise<Daemon> {
  const port = Number(env.SIGNET_PORT ?? (await freePort()));
  const log = join(home, "output.txt");
  const child = Bun.spawn([process.execPath, ENTRY], {
    cwd: home,
    env: {
      HOME: home,
      TZ: "UTC",
      SIGNET_PATH: home,
      SIGNET_LOG_DIR: join(home, "logs"),
      ...(process.env.SIGNET_VEC_PATH && { SIGNET_VEC_PATH: process.env.SIGNET_VEC_PATH }),
      ...env,
      SIGNET_PORT: String(port),
    },
    stdin: "ignore",
    stdout: Bun.file(log),
    stderr: Bun.file(log),
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    home,
    url,
    process: child,
    send: (method, path, body, headers) => send(`${url}${path}`, method, body, headers),
    configure: (yaml) => writeFileSync(join(home, "agent.yaml"), yaml),
    output: () => readFileSync(log, "utf-8"),
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      return child.exited;
    },
  };
}

/** Starts the program and waits until it answers. */
export async function startDaemon(home: string, env: Record<string, string> = {}): Promise<Daemon> {
  const daemon = await spawnDaemon(home, env);
  await waitFor(async () => {
    if (daemon.process.exitCode !== null) throw new Error(`the daemon exited:\n${daemon.output()}`);
    return (await fetch(`${daemon.url}/health`).catch(() => null)) !== null;
  });
  return daemon;
}

export async function waitFor(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not true within ${START_DEADLINE_MS} ms: ${condition}`);
    await Bun.sleep(10);
  }
}

async function send(url: string, method: string, body?: unknown, headers?: Record<string, string>): Promise<Reply> {
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const reply = await fetch(url, { method, ...(text !== undefined && { body: text }), ...(headers && { headers }) });
  const replyText = await reply.text();
  const isJson = reply.headers.get("content-type") === "application/json";
  return {
    status: reply.status,
    headers: reply.headers,
    text: replyText,
    json: isJson && replyText !== "" ? JSON.parse(replyText) : undefined,
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (typeof address === "object" && address ? resolve(address.port) : reject(address)));
    });
  });
}
