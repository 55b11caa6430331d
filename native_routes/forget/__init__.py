"""Forgetting memories, one or many, and bringing one back. Scoped tokens as in the modify group.

What a preview promises is proven by a token made of the memories' ids: no state is kept.
"""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

h = Handlers("native_routes.forget.handlers")

GROUP = RouteGroup(
    name="forget",
    phase=3,
    routes=(
        Route("POST",   "/api/memory/:id/recover", h.recover,     needs="recover"),
        Route("DELETE", "/api/memory/:id",         h.forget_one,  needs="forget", limit="forget"),
        Route("POST",   "/api/memory/forget",      h.forget_many, needs="forget", limit="batchForget"),
    ),
    reads=frozenset({"memories", "memories_fts"}),
    writes=frozenset({"memories", "memories_fts", "memory_history"}),
)  # fmt: skip
