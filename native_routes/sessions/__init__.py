"""Sessions that are open now, and summaries of past ones."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="sessions",
    phase=5,
    routes=(
        # needs=None: legacy shows sessions to any valid token and lets it bypass one.
        Route("GET",  "/api/sessions"),
        Route("GET",  "/api/sessions/:key"),
        Route("POST", "/api/sessions/:key/bypass"),
        # Never reached: GET /api/sessions/:key is registered earlier and takes it.
        Route("GET",  "/api/sessions/summaries",   needs="recall"),
    ),
    remembers=frozenset({"session_claims"}),
)  # fmt: skip
