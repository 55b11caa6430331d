"""Minting tokens. Who is calling (`whoami`) is in the status group."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

h = Handlers("native_routes.auth.handlers")

GROUP = RouteGroup(
    name="auth",
    phase=3,
    routes=(
        Route("POST", "/api/auth/token", h.issue_token, needs="admin", limit="admin"),
    ),
)  # fmt: skip
