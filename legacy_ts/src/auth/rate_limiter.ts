/** Fixed windows per key. Requests count when they are let in, whether they succeed or not. */
import type { RateLimit } from "./config.ts";

export class RateLimiter {
  private readonly windows = new Map<string, { startedAt: number; count: number }>();

  constructor(private readonly limit: RateLimit) {}

  /** Counts the request and returns null, or returns the epoch milliseconds at which the window ends. */
  admit(key: string): number | null {
    const now = Date.now();
    const window = this.windows.get(key);
    if (!window || now - window.startedAt >= this.limit.windowMs) {
      this.windows.set(key, { startedAt: now, count: 1 });
      return null;
    }
    if (window.count >= this.limit.max) return window.startedAt + this.limit.windowMs;
    window.count += 1;
    return null;
  }
}
