"""Changing memories, one or many. A scoped token's project is checked against the row by whoever answers."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

h = Handlers("native_routes.modify.handlers")

GROUP = RouteGroup(
    name="modify",
    phase=3,
    routes=(
        Route("PATCH", "/api/memory/:id",    h.modify_memory,   needs="modify", limit="modify"),
        # Each of 200 entries may wait 30 s for the embedder, as in legacy.
        Route("POST",  "/api/memory/modify", h.modify_memories, needs="modify", limit="modify", within_s=6_100.0),
    ),
    reads=frozenset({"memories", "embeddings"}),
    writes=frozenset({"memories", "embeddings", "memory_history", "vec_embeddings", "umap_cache", "memories_fts"}),
)  # fmt: skip
