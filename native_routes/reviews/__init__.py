"""Reviews of skills and tool servers, and where they are sent."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

READS = "legacy asks only for a valid token"
WRITES = "legacy lets any valid token write reviews and choose where they are sent"

GROUP = RouteGroup(
    name="reviews",
    phase=5,
    routes=(
        Route("GET",    "/api/marketplace/reviews",        needs="recall", stricter=READS),
        Route("POST",   "/api/marketplace/reviews",        needs="admin", stricter=WRITES),
        Route("PATCH",  "/api/marketplace/reviews/config", needs="admin", stricter=WRITES),
        Route("PATCH",  "/api/marketplace/reviews/:id",    needs="admin", stricter=WRITES),
        Route("DELETE", "/api/marketplace/reviews/:id",    needs="admin", stricter=WRITES),
        Route("GET",    "/api/marketplace/reviews/config", needs="recall", stricter=READS),
        Route("POST",   "/api/marketplace/reviews/sync",   needs="admin", stricter=WRITES),
    ),
)  # fmt: skip
