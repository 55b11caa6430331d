/** Log entries: from the files, and live. Any valid token may read them. */
import type { App } from "../app.ts";
import type { Daemon } from "../daemon_state.ts";
import { listLogFiles, readRecentEntries } from "../log_files.ts";
import type { LogEntry, Logger } from "../logger.ts";

export function logRoutes(app: App, { logger }: Daemon): void {
  app.get("/api/logs", (c) => {
    const since = c.req.query("since");
    const paths = logger.readsFiles ? listLogFiles(logger.dir, logger.fixedFile) : [];
    const logs = readRecentEntries(paths, {
      limit: Number.parseInt(c.req.query("limit") || "100", 10),
      level: c.req.query("level"),
      category: c.req.query("category"),
      since: since ? new Date(since) : undefined,
    });
    return c.json({ logs, count: logs.length });
  });

  // Server-sent events without ids, retry or heartbeat: a silent daemon is a silent stream.
  app.get("/api/logs/stream", (c) => {
    // HEAD would subscribe without ever reading.
    const body = c.req.method === "HEAD" ? null : eventStream(logger, c.req.raw.signal);
    return new Response(body, {
      headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache", Connection: "keep-alive" },
    });
  });
}

/** A greeting, then every log entry from now on, until the reader goes away. */
function eventStream(logger: Logger, gone: AbortSignal): ReadableStream {
  const encoder = new TextEncoder();
  let unsubscribe = (): void => {};
  return new ReadableStream({
    start(controller) {
      const send = (data: LogEntry | { type: "connected" }): void =>
        controller.enqueue(encoder.encode(`data: ${JSON.stringify(data)}\n\n`));
      unsubscribe = logger.subscribe(send);
      gone.addEventListener("abort", () => unsubscribe());
      send({ type: "connected" });
    },
    cancel: () => unsubscribe(),
  });
}
