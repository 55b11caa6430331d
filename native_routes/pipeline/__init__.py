"""What the extraction pipeline does, and which models it may use."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.diagnostics import TABLES
from native_routes.lazily import Handlers

h = Handlers("native_routes.pipeline.handlers")

GROUP = RouteGroup(
    name="pipeline",
    phase=2,
    ships_native=True,
    routes=(
        # needs=None: legacy shows the pipeline to any valid token; a refresh only re-reads the list of models.
        Route("GET",  "/api/pipeline/status",             h.show_status),
        Route("GET",  "/api/pipeline/models",             h.list_models),
        Route("GET",  "/api/pipeline/models/by-provider", h.list_models_by_provider),
        Route("POST", "/api/pipeline/models/refresh",     h.refresh_models),
    ),
    remembers=frozenset({"model_registry"}),
    borrows=frozenset({
        *("update_state", "predictor_process", "predictor_latency"),
        *("running_workers", "error_ring", "job_counters", "feedback_counters", "traversal_status"),
    }),
    reads=TABLES | {"memory_jobs", "summary_jobs", "entities", "entity_aspects", "entity_attributes"},
)  # fmt: skip
