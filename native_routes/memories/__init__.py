"""Stored memories as they are: list, timeline, one memory, its history, its jobs."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="memories",
    phase=2,
    routes=(
        # needs=None: any valid token may list, as legacy; each of the four roles has recall anyway.
        Route("GET", "/api/memories"),
        Route("GET", "/api/memory/timeline",    needs="recall"),
        Route("GET", "/api/memory/:id",         needs="recall"),
        Route("GET", "/api/memory/:id/history"),
        Route("GET", "/api/memory/jobs/:id"),
    ),
)  # fmt: skip
