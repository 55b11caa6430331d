/** Middleware that asks who is calling and what they may do. In local mode everything passes. */
import type { Context, MiddlewareHandler } from "hono";
import type { Daemon, Environment } from "../daemon_state.ts";
import { AUTHENTICATION_REQUIRED, type Permission, refusePermission } from "./policy.ts";
import type { RateLimiter } from "./rate_limiter.ts";
import { verifyToken } from "./tokens.ts";

// `await next()`, never `return next()`: Hono would take the resolved context for a response when nobody answered.
type Guard = MiddlewareHandler<Environment>;

const ANONYMOUS = { authenticated: false, claims: null } as const;

/** Every path passes here, also unknown ones and /health: without a valid token a team daemon tells nothing. */
export function authenticate(daemon: Daemon): Guard {
  return async (c, next) => {
    const { mode } = daemon.auth;
    if (mode === "local") {
      c.set("auth", ANONYMOUS);
      await next();
      return;
    }
    const token = bearerToken(c.req.header("authorization"));
    if (mode === "hybrid" && isLocalHost(c)) {
      // A token that does not verify counts as none here, and none has full access.
      const verified = token && daemon.secret ? verifyToken(daemon.secret, token) : null;
      c.set("auth", verified && "claims" in verified ? { authenticated: true, ...verified } : ANONYMOUS);
      await next();
      return;
    }
    if (!token) return unauthorized(c, AUTHENTICATION_REQUIRED);
    if (!daemon.secret) return c.json({ error: "auth secret not configured" }, 500);
    const verified = verifyToken(daemon.secret, token);
    if ("refusal" in verified) return unauthorized(c, verified.refusal);
    c.set("auth", { authenticated: true, ...verified });
    await next();
    return;
  };
}

export function requirePermission(daemon: Daemon, permission: Permission): Guard {
  return async (c, next) => {
    const { claims } = c.get("auth");
    const { mode } = daemon.auth;
    const passes = mode === "local" || (mode === "hybrid" && !claims && isLocalHost(c));
    const refusal = passes ? null : refusePermission(claims, permission);
    if (refusal !== null) return c.json({ error: refusal }, 403);
    await next();
    return;
  };
}

export function limitRate(daemon: Daemon, operation: string, limiter: RateLimiter): Guard {
  return async (c, next) => {
    const actor = c.get("auth").claims?.sub ?? c.req.header("x-signet-actor") ?? "anonymous";
    const resetAt = daemon.auth.mode === "local" ? null : limiter.admit(`${actor}:${operation}`);
    if (resetAt === null) {
      await next();
      return;
    }
    c.header("Retry-After", String(Math.ceil((resetAt - Date.now()) / 1000)));
    return c.json({ error: "rate limit exceeded", retryAfter: resetAt }, 429);
  };
}

/**
 * Runs `inner` and drops its refusal: the request then ends unanswered, which is a 500 with the text "Internal Server
 * Error". That is what the contract's combined guards do, and clients may have learned it.
 */
export function dropRefusal(inner: Guard): Guard {
  return async (c, next) => {
    await inner(c, next);
  };
}

export function both(first: Guard, second: Guard): Guard {
  return (c, next) =>
    first(c, async () => {
      // The second guard's refusal is dropped in the same way.
      await second(c, next);
    });
}

function unauthorized(c: Context<Environment>, error: string): Response {
  c.header("WWW-Authenticate", "Bearer");
  return c.json({ error }, 401);
}

/** `Bearer <token>` with exactly one space, case-sensitive. */
function bearerToken(header: string | undefined): string | null {
  const [scheme, token, ...rest] = (header ?? "").split(" ");
  return scheme === "Bearer" && rest.length === 0 && token ? token : null;
}

/** Decided by the Host header alone, which the caller writes; IPv6 forms never count, because of the cut at ":". */
function isLocalHost(c: Context<Environment>): boolean {
  const name = (c.req.header("host") ?? "").split(":")[0];
  return name === "localhost" || name === "127.0.0.1";
}
