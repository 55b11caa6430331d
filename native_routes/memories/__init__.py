"""Stored memories as they are: list, timeline, one memory, its history, its jobs."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

h = Handlers("native_routes.memories.handlers")

GROUP = RouteGroup(
    name="memories",
    phase=2,
    ships_native=True,
    routes=(
        # needs=None: any valid token may list, as legacy; each of the four roles has recall anyway.
        Route("GET", "/api/memories",           h.list_memories),
        Route("GET", "/api/memory/timeline",    h.show_timeline, needs="recall"),
        Route("GET", "/api/memory/:id",         h.show_memory,   needs="recall"),
        Route("GET", "/api/memory/:id/history", h.show_history),
        Route("GET", "/api/memory/jobs/:id",    h.show_job),
    ),
    reads=frozenset({"memories", "embeddings", "memory_history", "memory_jobs"}),
)  # fmt: skip
