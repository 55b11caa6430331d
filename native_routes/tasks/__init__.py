"""Prompts run by the clock: schedule, start now, watch, look back."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

READS = "legacy asks only for a valid token"
WRITES = "legacy lets any valid token run an agent on this machine"

GROUP = RouteGroup(
    name="tasks",
    phase=5,
    routes=(
        Route("GET",    "/api/tasks/:id/stream", needs="recall", streams=True, stricter=READS),
        Route("GET",    "/api/tasks",            needs="recall", stricter=READS),
        Route("POST",   "/api/tasks",            needs="admin", stricter=WRITES),
        Route("GET",    "/api/tasks/:id",        needs="recall", stricter=READS),
        Route("PATCH",  "/api/tasks/:id",        needs="admin", stricter=WRITES),
        Route("DELETE", "/api/tasks/:id",        needs="admin", stricter=WRITES),
        Route("POST",   "/api/tasks/:id/run",    needs="admin", stricter=WRITES),
        Route("GET",    "/api/tasks/:id/runs",   needs="recall", stricter=READS),
    ),
    remembers=frozenset({"task_streams", "running_tasks"}),
)  # fmt: skip
