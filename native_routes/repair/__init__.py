"""Mending the database by hand: queues, full-text index, vectors, entities."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="repair",
    phase=5,
    routes=(
        Route("POST", "/api/repair/requeue-dead",             needs="admin"),
        Route("POST", "/api/repair/release-leases",           needs="admin"),
        Route("POST", "/api/repair/check-fts",                needs="admin"),
        Route("POST", "/api/repair/retention-sweep",          needs="admin"),
        Route("GET",  "/api/repair/embedding-gaps",           needs="admin"),
        Route("POST", "/api/repair/re-embed",                 needs="admin"),
        Route("POST", "/api/repair/resync-vec",               needs="admin"),
        Route("POST", "/api/repair/clean-orphans",            needs="admin"),
        Route("GET",  "/api/repair/dedup-stats",              needs="admin"),
        Route("POST", "/api/repair/deduplicate",              needs="admin"),
        Route("POST", "/api/repair/backfill-skipped",         needs="admin"),
        Route("POST", "/api/repair/reclassify-entities",      needs="admin"),
        Route("POST", "/api/repair/prune-chunk-groups",       needs="admin"),
        Route("POST", "/api/repair/prune-singleton-entities", needs="admin"),
        Route("POST", "/api/repair/structural-backfill",      needs="admin"),
        Route("GET",  "/api/repair/cold-stats",               needs="admin"),
    ),
    remembers=frozenset({"repair_limiter"}),
)  # fmt: skip
