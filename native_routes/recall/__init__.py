"""Finding memories by meaning and by words."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="recall",
    phase=2,
    routes=(
        Route("GET",  "/memory/search",     needs="recall"),
        Route("POST", "/api/memory/recall", needs="recall"),
        # Never reached: GET /api/memory/:id is registered earlier and takes it.
        Route("GET",  "/api/memory/search", needs="recall"),
        Route("GET",  "/memory/similar",    needs="recall"),
    ),
)  # fmt: skip
