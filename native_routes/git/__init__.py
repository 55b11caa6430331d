"""The home as a git repository: state, configuration, pull, push, sync."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

READS = "legacy asks only for a valid token"
WRITES = "legacy lets any valid token push the home to a remote of its choice"

GROUP = RouteGroup(
    name="git",
    phase=5,
    routes=(
        Route("GET",  "/api/git/status", needs="recall", stricter=READS),
        Route("POST", "/api/git/pull",   needs="admin", stricter=WRITES),
        Route("POST", "/api/git/push",   needs="admin", stricter=WRITES),
        Route("POST", "/api/git/sync",   needs="admin", stricter=WRITES),
        Route("GET",  "/api/git/config", needs="recall", stricter=READS),
        Route("POST", "/api/git/config", needs="admin", stricter=WRITES),
    ),
    remembers=frozenset({"git_state"}),
)  # fmt: skip
