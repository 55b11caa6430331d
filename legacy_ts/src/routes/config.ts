/** The Markdown and YAML files of the home directory, and the identity in one of them. Any valid token may write. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { App } from "../app.ts";
import type { Daemon } from "../daemon_state.ts";

const LISTED_FIRST = ["agent.yaml", "AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md"];

export function configRoutes(app: App, { settings, logger }: Daemon): void {
  app.get("/api/config", (c) => {
    try {
      return c.json({ files: readConfigFiles(settings.home) });
    } catch (error) {
      logger.error("api", "Error loading config files", error);
      return c.json({ files: [], error: "Failed to load config files" });
    }
  });

  app.post("/api/config", async (c) => {
    try {
      const { file, content } = await c.req.json();
      if (!file || typeof content !== "string") return c.json({ error: "Invalid request" }, 400);
      // Values without text methods throw here, which is "failed to save" like any other error.
      if (file.includes("/") || file.includes("..")) return c.json({ error: "Invalid file name" }, 400);
      if (!isConfigFile(file)) return c.json({ error: "Invalid file type" }, 400);
      writeFileSync(join(settings.home, file), content, "utf-8");
      logger.info("api", "Config file updated", { file });
      return c.json({ success: true });
    } catch (error) {
      logger.error("api", "Error saving config file", error);
      return c.json({ error: "Failed to save file" }, 500);
    }
  });

  app.get("/api/identity", (c) => {
    try {
      return c.json(readIdentity(readFileSync(join(settings.home, "IDENTITY.md"), "utf-8")));
    } catch {
      return c.json({ name: "Unknown", creature: "", vibe: "" });
    }
  });
}

interface ConfigFile {
  readonly name: string;
  readonly content: string;
  readonly size: number;
}

function readConfigFiles(home: string): ConfigFile[] {
  const files: ConfigFile[] = [];
  for (const name of readdirSync(home).filter(isConfigFile)) {
    const path = join(home, name);
    const stat = statSync(path);
    if (stat.isFile()) files.push({ name, content: readFileSync(path, "utf-8"), size: stat.size });
  }
  const rank = (name: string): number => {
    const place = LISTED_FIRST.indexOf(name);
    return place === -1 ? LISTED_FIRST.length : place;
  };
  return files.sort((a, b) => rank(a.name) - rank(b.name) || a.name.localeCompare(b.name));
}

function isConfigFile(name: string): boolean {
  return name.endsWith(".md") || name.endsWith(".yaml");
}

/** `- name: …` lines and the like, at the very start of a line; the last of each wins. */
function readIdentity(markdown: string): { name: string; creature: string; vibe: string } {
  const identity = { name: "", creature: "", vibe: "" };
  for (const line of markdown.split("\n")) {
    for (const field of ["name", "creature", "vibe"] as const) {
      const marker = `- ${field}:`;
      if (line.startsWith(marker)) identity[field] = line.slice(marker.length).trim();
    }
  }
  return identity;
}
