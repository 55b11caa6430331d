"""How healthy the memory is, domain by domain."""

from __future__ import annotations

from typing import Final

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

COUNTED: Final = frozenset({"memories", "memories_fts", "memory_jobs", "memory_history", "connectors"})
"""By every domain but the predictor's."""
TABLES: Final = COUNTED | {"predictor_training_log", "predictor_comparisons"}

h = Handlers("native_routes.diagnostics.handlers")

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
