/** `auth:` of agent.yaml. Read once at start: a change needs a restart. */
import { lookUp, type Value } from "../agent_yaml.ts";

export type AuthMode = "local" | "team" | "hybrid";

export interface RateLimit {
  readonly windowMs: number;
  readonly max: number;
}

export interface AuthConfig {
  readonly mode: AuthMode;
  readonly defaultTokenTtlSeconds: number;
  readonly limits: { readonly admin: RateLimit; readonly forget: RateLimit };
}

const WEEK_SECONDS = 7 * 24 * 60 * 60;

export function readAuthConfig(section: Value | undefined): AuthConfig {
  const mode = lookUp(section, "mode");
  const positive = (fallback: number, ...path: string[]): number => {
    const value = lookUp(section, ...path);
    return typeof value === "number" && value > 0 ? value : fallback;
  };
  const limit = (operation: string, max: number): RateLimit => ({
    windowMs: positive(60_000, "rateLimits", operation, "windowMs"),
    max: positive(max, "rateLimits", operation, "max"),
  });
  return {
    mode: mode === "team" || mode === "hybrid" ? mode : "local",
    defaultTokenTtlSeconds: positive(WEEK_SECONDS, "defaultTokenTtlSeconds"),
    limits: { admin: limit("admin", 10), forget: limit("forget", 30) },
  };
}
