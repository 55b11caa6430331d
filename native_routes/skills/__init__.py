"""Skills of the agent: installed, offered, installed anew."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

READS = "legacy asks only for a valid token"
WRITES = "legacy lets any valid token put instructions and scripts before the agent"

GROUP = RouteGroup(
    name="skills",
    phase=5,
    routes=(
        Route("GET",    "/api/skills",         needs="recall", stricter=READS),
        Route("GET",    "/api/skills/browse",  needs="recall", stricter=READS),
        Route("GET",    "/api/skills/search",  needs="recall", stricter=READS),
        Route("GET",    "/api/skills/:name",   needs="recall", stricter=READS),
        Route("POST",   "/api/skills/install", needs="admin", stricter=WRITES),
        Route("DELETE", "/api/skills/:name",   needs="admin", stricter=WRITES),
    ),
    remembers=frozenset({"skill_locks", "skill_catalogues"}),
)  # fmt: skip
