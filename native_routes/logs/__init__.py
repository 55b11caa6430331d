"""The log files and their live feed."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="logs",
    phase=3,
    routes=(
        # needs=None: legacy shows its logs to any valid token.
        Route("GET", "/api/logs"),
        Route("GET", "/api/logs/stream", streams=True),
    ),
    remembers=frozenset({"log_events"}),
)  # fmt: skip
