"""The files of the home that define the agent: read all, write one."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

READS = "legacy asks only for a valid token; the files are what recall protects elsewhere"
WRITES = "legacy lets a readonly token overwrite the configuration, auth.mode included"

h = Handlers("native_routes.config.handlers")

GROUP = RouteGroup(
    name="config",
    phase=3,
    routes=(
        Route("GET",  "/api/config", h.show_files, needs="recall", stricter=READS),
        Route("POST", "/api/config", h.write_file, needs="admin", stricter=WRITES),
    ),
    writes=frozenset({"*.md", "*.yaml"}),
)  # fmt: skip
