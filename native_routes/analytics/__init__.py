"""Counters, latencies, errors and continuity of this process and of the database."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.diagnostics import COUNTED
from native_routes.lazily import Handlers

h = Handlers("native_routes.analytics.handlers")
list_entries = Handlers("native_routes.logs.handlers").list_entries

GROUP = RouteGroup(
    name="analytics",
    phase=3,
    routes=(
        Route("GET", "/api/analytics/usage",             h.show_usage,             needs="analytics"),
        Route("GET", "/api/analytics/errors",            h.show_errors,            needs="analytics"),
        Route("GET", "/api/analytics/latency",           h.show_latency,           needs="analytics"),
        Route("GET", "/api/analytics/logs",              list_entries,             needs="analytics"),
        Route("GET", "/api/analytics/memory-safety",     h.show_memory_safety,     needs="analytics"),
        Route("GET", "/api/analytics/continuity",        h.show_continuity,        needs="analytics"),
        Route("GET", "/api/analytics/continuity/latest", h.show_latest_continuity, needs="analytics"),
    ),
    borrows=frozenset({"error_ring", "job_counters", "predictor_latency"}),
    reads=COUNTED | {"session_scores"},
)  # fmt: skip
