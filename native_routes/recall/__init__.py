"""Finding memories by meaning and by words."""

from __future__ import annotations

from typing import Final

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

# sqlite-vec keeps `vec_embeddings` in the tables with a suffix, FTS5 its index in tables of its own, not named here.
VECTORS: Final = frozenset(f"vec_embeddings{suffix}" for suffix in ("", "_chunks", "_rowids", "_vector_chunks00"))
KNOWLEDGE: Final = frozenset(
    {"entities", "relations", "memory_entity_mentions", "entity_aspects", "entity_attributes", "entity_dependencies"}
)

h = Handlers("native_routes.recall.handlers")

GROUP = RouteGroup(
    name="recall",
    phase=2,
    ships_native=True,
    routes=(
        Route("GET",  "/memory/search",     h.search,       needs="recall"),
        Route("POST", "/api/memory/recall", h.recall,       needs="recall"),
        # Differs: legacy registers GET /api/memory/:id earlier, so that its own search is never reached.
        Route("GET",  "/api/memory/search", h.search_alias, needs="recall"),
        Route("GET",  "/memory/similar",    h.similar,      needs="recall"),
    ),
    reads=frozenset({"memories", "memories_fts", "memory_history", "embeddings"}) | VECTORS | KNOWLEDGE,
    counts=frozenset({"memories"}),  # how often and when a memory was recalled
)  # fmt: skip
