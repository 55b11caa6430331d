"""Tool servers: which are offered, which are installed, their policy, calls to their tools."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

READS = "legacy asks only for a valid token"
WRITES = "legacy lets any valid token start programs of its choice as tool servers"

GROUP = RouteGroup(
    name="marketplace",
    phase=5,
    routes=(
        Route("GET",    "/api/marketplace/mcp",          needs="recall", stricter=READS),
        Route("GET",    "/api/marketplace/mcp/policy",   needs="recall", stricter=READS),
        Route("PATCH",  "/api/marketplace/mcp/policy",   needs="admin", stricter=WRITES),
        Route("GET",    "/api/marketplace/mcp/browse",   needs="recall", stricter=READS),
        Route("GET",    "/api/marketplace/mcp/detail",   needs="recall", stricter=READS),
        Route("POST",   "/api/marketplace/mcp/test",     needs="admin", stricter=WRITES),
        Route("POST",   "/api/marketplace/mcp/install",  needs="admin", stricter=WRITES),
        Route("POST",   "/api/marketplace/mcp/register", needs="admin", stricter=WRITES),
        Route("GET",    "/api/marketplace/mcp/tools",    needs="recall", stricter=READS),
        Route("GET",    "/api/marketplace/mcp/search",   needs="recall", stricter=READS),
        Route("POST",   "/api/marketplace/mcp/call",     needs="admin", stricter=WRITES),
        Route("GET",    "/api/marketplace/mcp/:id",      needs="recall", stricter=READS),
        Route("PATCH",  "/api/marketplace/mcp/:id",      needs="admin", stricter=WRITES),
        Route("DELETE", "/api/marketplace/mcp/:id",      needs="admin", stricter=WRITES),
    ),
    remembers=frozenset({"tool_catalogues"}),
)  # fmt: skip
