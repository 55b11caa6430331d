/** What a browser sees: there is no dashboard here. */
import type { App } from "../app.ts";

const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Memory daemon</title></head>
<body>
<h1>The memory daemon is running</h1>
<p>It is the small stand-in that signet-proxy starts where no Signet is installed. It answers programs; it has no
dashboard. Its state as JSON: <a href="/health">health</a>, <a href="/api/status">status</a>,
<a href="/api/memories">memories</a>, <a href="/api/logs">log entries</a>.</p>
</body>
</html>
`;

export function welcomeRoutes(app: App): void {
  app.get("/", (c) => c.html(PAGE));
}
