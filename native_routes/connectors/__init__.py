"""Outside sources that are synchronised into documents."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="connectors",
    phase=5,
    routes=(
        # needs=None: legacy guards the writes only; any valid token may look.
        Route("GET",    "/api/connectors"),
        Route("POST",   "/api/connectors",               needs="admin"),
        Route("GET",    "/api/connectors/:id"),
        Route("POST",   "/api/connectors/:id/sync",      needs="admin"),
        Route("POST",   "/api/connectors/resync",        needs="admin"),
        Route("POST",   "/api/connectors/:id/sync/full", needs="admin"),
        Route("DELETE", "/api/connectors/:id",           needs="admin"),
        Route("GET",    "/api/connectors/:id/health"),
    ),
    remembers=frozenset({"running_syncs"}),
)  # fmt: skip
