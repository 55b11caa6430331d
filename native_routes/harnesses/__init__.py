"""The coding agents on this machine, and their generated instruction files."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="harnesses",
    phase=5,
    routes=(
        # needs=None: legacy lets any valid token look and regenerate; the files follow from the home alone.
        Route("GET",  "/api/harnesses"),
        Route("POST", "/api/harnesses/regenerate"),
    ),
    remembers=frozenset({"harness_last_seen"}),
)  # fmt: skip
