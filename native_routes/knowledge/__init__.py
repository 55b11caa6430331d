"""The graph of entities, their aspects and dependencies."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="knowledge",
    phase=5,
    routes=(
        # needs=None: legacy shows the graph to any valid token.
        Route("GET",    "/api/knowledge/entities"),
        Route("POST",   "/api/knowledge/entities/:id/pin",                          needs="modify"),
        Route("DELETE", "/api/knowledge/entities/:id/pin",                          needs="modify"),
        Route("GET",    "/api/knowledge/entities/pinned"),
        Route("GET",    "/api/knowledge/entities/health"),
        Route("GET",    "/api/knowledge/entities/:id"),
        Route("GET",    "/api/knowledge/entities/:id/aspects"),
        Route("GET",    "/api/knowledge/entities/:id/aspects/:aspectId/attributes"),
        Route("GET",    "/api/knowledge/entities/:id/dependencies"),
        Route("GET",    "/api/knowledge/stats"),
        Route("GET",    "/api/knowledge/traversal/status"),
        Route("GET",    "/api/knowledge/constellation"),
        Route("POST",   "/api/knowledge/expand",                                    needs="recall"),
    ),
    borrows=frozenset({"traversal_status"}),
)  # fmt: skip
