"""Events kept on this machine about its own use."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="telemetry",
    phase=5,
    routes=(
        # needs=None: legacy shows its telemetry to any valid token.
        Route("GET", "/api/telemetry/events"),
        Route("GET", "/api/telemetry/stats"),
        Route("GET", "/api/telemetry/export"),
        Route("GET", "/api/telemetry/training-export"),
    ),
    remembers=frozenset({"telemetry_buffer"}),
)  # fmt: skip
