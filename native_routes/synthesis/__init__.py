"""Writing the home's MEMORY.md from what was remembered."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="synthesis",
    phase=4,
    routes=(
        # needs=None as documented: a harness with any valid token may synthesise.
        Route("GET",  "/api/hooks/synthesis/config"),
        Route("POST", "/api/hooks/synthesis"),
        Route("POST", "/api/hooks/synthesis/complete"),
        Route("POST", "/api/synthesis/trigger"),
        Route("GET",  "/api/synthesis/status"),
    ),
    remembers=frozenset({"synthesis_lock"}),
    borrows=frozenset({"session_claims"}),
)  # fmt: skip
