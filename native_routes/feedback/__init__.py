"""Whether a recalled memory helped."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="feedback",
    phase=3,
    routes=(
        # needs=None: legacy takes feedback from any valid token; it changes scores, not contents.
        Route("POST", "/api/memory/feedback"),
    ),
)  # fmt: skip
