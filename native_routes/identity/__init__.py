"""The agent's name and creature, read from its identity file."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

h = Handlers("native_routes.identity.handlers")

GROUP = RouteGroup(
    name="identity",
    phase=3,
    routes=(
        # needs=None: every harness greets with it; legacy asks for any valid token.
        Route("GET", "/api/identity", h.show_identity),
    ),
)  # fmt: skip
