"""Vectors as stored, and whether they are complete. Nothing is embedded here, but for a test of the provider."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

h = Handlers("native_routes.embeddings.handlers")

GROUP = RouteGroup(
    name="embeddings",
    phase=2,
    ships_native=True,
    routes=(
        # needs=None: any valid token, as legacy; each of the four roles has recall anyway.
        Route("GET", "/api/embeddings",        h.list_embeddings),
        Route("GET", "/api/embeddings/status", h.show_status),
        Route("GET", "/api/embeddings/health", h.show_health),
    ),
    borrows=frozenset({"embedding_tracker"}),
    reads=frozenset({"embeddings", "memories", "vec_embeddings_rowids"}),
)  # fmt: skip
