"""Whether a recalled memory helped."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

h = Handlers("native_routes.feedback.handlers")

GROUP = RouteGroup(
    name="feedback",
    phase=3,
    routes=(
        # needs=None: legacy takes feedback from any valid token; it changes scores, not contents.
        Route("POST", "/api/memory/feedback", h.give_feedback),
    ),
    writes=frozenset({"session_memories"}),
)  # fmt: skip
