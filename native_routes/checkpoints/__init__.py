"""What a session had in hand when its context was compacted."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="checkpoints",
    phase=5,
    routes=(
        # needs=None: legacy shows checkpoints to any valid token.
        Route("GET", "/api/checkpoints"),
        Route("GET", "/api/checkpoints/:sessionKey"),
    ),
)  # fmt: skip
