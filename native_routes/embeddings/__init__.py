"""Vectors as stored, and whether they are complete. Nothing is embedded here."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="embeddings",
    phase=2,
    routes=(
        # needs=None: any valid token, as legacy; each of the four roles has recall anyway.
        Route("GET", "/api/embeddings"),
        Route("GET", "/api/embeddings/status"),
        Route("GET", "/api/embeddings/health"),
    ),
    borrows=frozenset({"embedding_tracker"}),
)  # fmt: skip
