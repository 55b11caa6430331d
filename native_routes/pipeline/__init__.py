"""What the extraction pipeline does, and which models it may use."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="pipeline",
    phase=2,
    routes=(
        # needs=None: legacy shows the pipeline to any valid token; a refresh only re-reads the list of models.
        Route("GET",  "/api/pipeline/status"),
        Route("GET",  "/api/pipeline/models"),
        Route("GET",  "/api/pipeline/models/by-provider"),
        Route("POST", "/api/pipeline/models/refresh"),
    ),
    remembers=frozenset({"model_registry"}),
    borrows=frozenset({"job_counters", "feedback_counters", "traversal_status", "predictor_latency"}),
)  # fmt: skip
