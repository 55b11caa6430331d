/** Bearer tokens: `base64url(claims).base64url(hmac-sha256)`. Nothing is stored, so none can be revoked. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** As found in the token: only the two timestamps have been looked at. */
export interface Claims {
  readonly sub: string;
  readonly scope?: Scope | null;
  readonly role: string;
  readonly iat: number;
  readonly exp: number;
}

export interface Scope {
  readonly project?: string;
  readonly agent?: string;
  readonly user?: string;
}

export type Verification = { readonly claims: Claims } | { readonly refusal: string };

const SECRET_BYTES = 32;

export function loadOrCreateSecret(path: string): Buffer {
  if (existsSync(path)) return readFileSync(path);
  const secret = randomBytes(SECRET_BYTES);
  writeFileSync(path, secret, { mode: 0o600 });
  return secret;
}

export function createToken(secret: Buffer, role: string, scope: unknown, ttlSeconds: number): string {
  const iat = Math.floor(Date.now() / 1000);
  const claims = { sub: `token:${role}`, scope, role, iat, exp: iat + ttlSeconds };
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
  return `${payload}.${sign(secret, payload).toString("base64url")}`;
}

export function verifyToken(secret: Buffer, token: string): Verification {
  const dot = token.indexOf(".");
  if (dot === -1 || dot === token.length - 1) return { refusal: "malformed token" };

  const payload = token.slice(0, dot);
  const expected = sign(secret, payload);
  const actual = Buffer.from(token.slice(dot + 1), "base64url");
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) return { refusal: "invalid signature" };

  const claims = parseClaims(payload);
  if (claims === undefined) return { refusal: "malformed payload" };
  if (typeof claims.exp !== "number" || typeof claims.iat !== "number") return { refusal: "missing timestamps" };
  return Math.floor(Date.now() / 1000) >= claims.exp ? { refusal: "token expired" } : { claims };
}

function sign(secret: Buffer, payload: string): Buffer {
  return createHmac("sha256", secret).update(payload).digest();
}

function parseClaims(payload: string): Claims | undefined {
  try {
    return JSON.parse(Buffer.from(payload, "base64url").toString("utf-8")) as Claims;
  } catch {
    return undefined;
  }
}
