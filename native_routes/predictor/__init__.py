"""The model that ranks memories at session start: state, comparisons, training."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="predictor",
    phase=5,
    routes=(
        Route("GET",  "/api/predictor/status",                 needs="analytics"),
        Route("GET",  "/api/predictor/comparisons/by-project", needs="analytics"),
        Route("GET",  "/api/predictor/comparisons/by-entity",  needs="analytics"),
        Route("GET",  "/api/predictor/comparisons",            needs="analytics"),
        Route("GET",  "/api/predictor/training",               needs="analytics"),
        Route("GET",  "/api/predictor/training-pairs-count",   needs="analytics"),
        Route("POST", "/api/predictor/train",                  needs="analytics"),
    ),
    remembers=frozenset({"predictor_process"}),
)  # fmt: skip
