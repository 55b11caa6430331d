"""Storing a memory. `save` and the hook alias are other names of `remember`, so all three move together."""

from __future__ import annotations

from math import inf
from typing import Final

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

# FTS5 keeps its index in tables of its own, sqlite-vec the vectors; both are written through them.
READS: Final = frozenset({"memories", "embeddings", "memory_jobs"})
WRITES: Final = frozenset(
    {"memories", "memories_fts", "embeddings", "umap_cache", "memory_jobs", "entities", "memory_entity_mentions"}
) | {f"vec_embeddings{suffix}" for suffix in ("", "_chunks", "_rowids", "_vector_chunks00")}

h = Handlers("native_routes.remember.handlers")

GROUP = RouteGroup(
    name="remember",
    phase=3,
    routes=(
        # within_s: an embedder may take 30 s for each piece of a long text, and legacy waits for it.
        Route("POST", "/api/memory/remember", h.remember, needs="remember", within_s=inf),
        Route("POST", "/api/memory/save",     h.save,     needs="remember", within_s=inf),
        Route("POST", "/api/hook/remember",   h.save,     needs="remember", within_s=inf),
    ),
    reads=READS,
    writes=WRITES,
)  # fmt: skip
