"""The project's public pages: changelog, roadmap, readme."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="changelog",
    phase=5,
    routes=(
        # needs=None: published text.
        Route("GET", "/api/changelog"),
        Route("GET", "/api/roadmap"),
        Route("GET", "/api/readme"),
    ),
)  # fmt: skip
