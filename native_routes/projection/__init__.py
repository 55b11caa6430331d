"""The map of all vectors in two or three dimensions."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="projection",
    phase=5,
    routes=(
        # needs=None: any valid token, as the other routes of embeddings.
        Route("GET", "/api/embeddings/projection"),
    ),
    remembers=frozenset({"projection_jobs"}),
)  # fmt: skip
