/** What the routes share: made once at start, handed to each group of routes. */
import type { AuthConfig } from "./auth/config.ts";
import type { RateLimiter } from "./auth/rate_limiter.ts";
import type { Claims } from "./auth/tokens.ts";
import type { MemoryDatabase } from "./database.ts";
import type { Embed } from "./embedder.ts";
import type { Logger } from "./logger.ts";
import type { Settings } from "./settings.ts";

export interface Daemon {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly database: MemoryDatabase;
  readonly embed: Embed;
  readonly auth: AuthConfig;
  /** Null in local mode, where no token can be checked or made. */
  readonly secret: Buffer | null;
  readonly limiters: { readonly admin: RateLimiter; readonly forget: RateLimiter };
  readonly features: Readonly<Record<string, boolean>>;
}

/** Hono's type for what middleware attaches to a request. */
export interface Environment {
  Variables: { auth: { readonly authenticated: boolean; readonly claims: Claims | null } };
}
