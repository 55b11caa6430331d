"""Counters, latencies, errors and continuity of this process and of the database."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="analytics",
    phase=3,
    routes=(
        Route("GET", "/api/analytics/usage",             needs="analytics"),
        Route("GET", "/api/analytics/errors",            needs="analytics"),
        Route("GET", "/api/analytics/latency",           needs="analytics"),
        Route("GET", "/api/analytics/logs",              needs="analytics"),
        Route("GET", "/api/analytics/memory-safety",     needs="analytics"),
        Route("GET", "/api/analytics/continuity",        needs="analytics"),
        Route("GET", "/api/analytics/continuity/latest", needs="analytics"),
    ),
    borrows=frozenset({"error_ring", "job_counters", "predictor_latency"}),
)  # fmt: skip
