"""Everything that happened to one memory or request, in order."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="timeline",
    phase=5,
    routes=(
        Route("GET", "/api/timeline/:id",        needs="analytics"),
        Route("GET", "/api/timeline/:id/export", needs="analytics"),
    ),
    borrows=frozenset({"error_ring"}),
)  # fmt: skip
