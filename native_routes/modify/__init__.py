"""Changing memories, one or many. A scoped token's project is checked against the row by whoever answers."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="modify",
    phase=3,
    routes=(
        Route("PATCH", "/api/memory/:id",    needs="modify", limit="modify"),
        Route("POST",  "/api/memory/modify", needs="modify", limit="modify"),
    ),
)  # fmt: skip
