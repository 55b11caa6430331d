"""How healthy the memory is, domain by domain."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.diagnostics import handlers as h
from native_routes.diagnostics.queries import TABLES

GROUP = RouteGroup(
    name="diagnostics",
    phase=2,
    ships_native=True,
    routes=(
        Route("GET", "/api/diagnostics",         h.show_report, needs="diagnostics"),
        Route("GET", "/api/diagnostics/:domain", h.show_domain, needs="diagnostics"),
    ),
    borrows=frozenset({"update_state", "predictor_process", "predictor_latency"}),
    reads=TABLES,
)  # fmt: skip
