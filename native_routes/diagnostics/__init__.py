"""How healthy the memory is, domain by domain."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="diagnostics",
    phase=2,
    routes=(
        Route("GET", "/api/diagnostics",         needs="diagnostics"),
        Route("GET", "/api/diagnostics/:domain", needs="diagnostics"),
    ),
    borrows=frozenset({"update_state", "predictor_latency"}),
)  # fmt: skip
