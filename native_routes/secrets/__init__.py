"""Secrets by name, never by value: list, put, delete, run a command with some of them."""

from __future__ import annotations

from math import inf

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

READS = "legacy asks only for a valid token"
RUNS = "legacy lets a readonly token run any shell command"
WRITES = "legacy lets a readonly token replace or remove secrets"

h = Handlers("native_routes.secrets.handlers")  # libsodium takes memory, and few ask for it

GROUP = RouteGroup(
    name="secrets",
    phase=3,
    routes=(
        Route("GET",    "/api/secrets",            h.list_secrets,     needs="recall", stricter=READS),
        # Limits of their own: SIGNET_EXEC_TIMEOUT.
        Route("POST",   "/api/secrets/exec",       h.run_with_secrets, needs="remember", stricter=RUNS,
              within_s=inf),
        Route("POST",   "/api/secrets/:name/exec", h.run_with_secret,  needs="remember", stricter=RUNS,
              within_s=inf),
        Route("POST",   "/api/secrets/:name",      h.put_secret,       needs="admin", stricter=WRITES),
        Route("DELETE", "/api/secrets/:name",      h.remove_secret,    needs="admin", stricter=WRITES),
    ),
    writes=frozenset({".secrets/secrets.enc"}),
)  # fmt: skip
