"""What the extraction pipeline does, and which models it may use."""

from __future__ import annotations

from native_routes.declaration import Handler, Route, RouteGroup
from native_routes.diagnostics.queries import TABLES as DIAGNOSED
from native_routes.lazily import lazily
from native_routes.pipeline.queries import TABLES


def _handler(name: str) -> Handler:
    return lazily("native_routes.pipeline.handlers", name)  # asking providers takes httpx, and few ask for it


GROUP = RouteGroup(
    name="pipeline",
    phase=2,
    ships_native=True,
    routes=(
        # needs=None: legacy shows the pipeline to any valid token; a refresh only re-reads the list of models.
        Route("GET",  "/api/pipeline/status",             _handler("show_status")),
        Route("GET",  "/api/pipeline/models",             _handler("list_models")),
        Route("GET",  "/api/pipeline/models/by-provider", _handler("list_models_by_provider")),
        Route("POST", "/api/pipeline/models/refresh",     _handler("refresh_models")),
    ),
    remembers=frozenset({"model_registry"}),
    borrows=frozenset({
        *("update_state", "predictor_process", "predictor_latency"),
        *("running_workers", "error_ring", "job_counters", "feedback_counters", "traversal_status"),
    }),
    reads=TABLES | DIAGNOSED | {"entities", "entity_aspects", "entity_attributes"},
)  # fmt: skip
