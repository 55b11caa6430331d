"""Forgetting memories, one or many, and bringing one back. Scoped tokens as in the modify group."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="forget",
    phase=3,
    routes=(
        Route("POST",   "/api/memory/:id/recover", needs="recover"),
        Route("DELETE", "/api/memory/:id",         needs="forget", limit="forget"),
        Route("POST",   "/api/memory/forget",      needs="forget", limit="batchForget"),
    ),
)  # fmt: skip
