"""Looking for a newer daemon, and installing it."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

READS = "legacy asks only for a valid token"
WRITES = "legacy lets any valid token install software"

GROUP = RouteGroup(
    name="update",
    phase=5,
    routes=(
        Route("GET",  "/api/update/check",  needs="recall", stricter=READS),
        Route("GET",  "/api/update/config", needs="recall", stricter=READS),
        Route("POST", "/api/update/config", needs="admin", stricter=WRITES),
        Route("POST", "/api/update/run",    needs="admin", stricter=WRITES),
    ),
    remembers=frozenset({"update_state"}),
)  # fmt: skip
