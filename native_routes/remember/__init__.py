"""Storing a memory. `save` and the hook alias post to `remember`, so all three move together."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="remember",
    phase=3,
    routes=(
        Route("POST", "/api/memory/remember", needs="remember"),
        Route("POST", "/api/memory/save",     needs="remember"),
        Route("POST", "/api/hook/remember",   needs="remember"),
    ),
)  # fmt: skip
