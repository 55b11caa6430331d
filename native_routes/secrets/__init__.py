"""Secrets by name, never by value: list, put, delete, run a command with some of them."""

from __future__ import annotations

from math import inf

from native_routes.declaration import Handler, Route, RouteGroup
from native_routes.lazily import lazily

READS = "legacy asks only for a valid token"
RUNS = "legacy lets a readonly token run any shell command"
WRITES = "legacy lets a readonly token replace or remove secrets"


def _handler(name: str) -> Handler:
    return lazily("native_routes.secrets.handlers", name)  # libsodium takes memory, and few ask for it


GROUP = RouteGroup(
    name="secrets",
    phase=3,
    routes=(
        Route("GET",    "/api/secrets",            _handler("list_secrets"),     needs="recall", stricter=READS),
        # Limits of their own: SIGNET_EXEC_TIMEOUT.
        Route("POST",   "/api/secrets/exec",       _handler("run_with_secrets"), needs="remember", stricter=RUNS,
              within_s=inf),
        Route("POST",   "/api/secrets/:name/exec", _handler("run_with_secret"),  needs="remember", stricter=RUNS,
              within_s=inf),
        Route("POST",   "/api/secrets/:name",      _handler("put_secret"),       needs="admin", stricter=WRITES),
        Route("DELETE", "/api/secrets/:name",      _handler("remove_secret"),    needs="admin", stricter=WRITES),
    ),
    writes=frozenset({".secrets/secrets.enc"}),
)  # fmt: skip
