"""The log files and their live feed."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

h = Handlers("native_routes.logs.handlers")

GROUP = RouteGroup(
    name="logs",
    phase=3,
    routes=(
        # needs=None: legacy shows its logs to any valid token.
        Route("GET", "/api/logs",        h.list_entries),
        Route("GET", "/api/logs/stream", h.stream_entries, streams=True),
    ),
)  # fmt: skip
