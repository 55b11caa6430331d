"""Secrets by name, never by value: list, put, delete, run a command with some of them."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

READS = "legacy asks only for a valid token"
RUNS = "legacy lets a readonly token run any shell command"
WRITES = "legacy lets a readonly token replace or remove secrets"

GROUP = RouteGroup(
    name="secrets",
    phase=3,
    routes=(
        Route("GET",    "/api/secrets",                   needs="recall", stricter=READS),
        Route("GET",    "/api/secrets/1password/status",  needs="recall", stricter=READS),
        Route("POST",   "/api/secrets/1password/connect", needs="admin", stricter=WRITES),
        Route("DELETE", "/api/secrets/1password/connect", needs="admin", stricter=WRITES),
        Route("GET",    "/api/secrets/1password/vaults",  needs="recall", stricter=READS),
        Route("POST",   "/api/secrets/1password/import",  needs="admin", stricter=WRITES),
        Route("POST",   "/api/secrets/exec",              needs="remember", stricter=RUNS),
        Route("POST",   "/api/secrets/:name/exec",        needs="remember", stricter=RUNS),
        Route("POST",   "/api/secrets/:name",             needs="admin", stricter=WRITES),
        Route("DELETE", "/api/secrets/:name",             needs="admin", stricter=WRITES),
    ),
    remembers=frozenset({"secrets_key"}),
)  # fmt: skip
