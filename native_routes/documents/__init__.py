"""Documents handed in for ingestion, and their chunks."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="documents",
    phase=3,
    routes=(
        Route("POST",   "/api/documents",            needs="documents"),
        Route("GET",    "/api/documents",            needs="documents"),
        Route("GET",    "/api/documents/:id",        needs="documents"),
        Route("GET",    "/api/documents/:id/chunks", needs="documents"),
        Route("DELETE", "/api/documents/:id",        needs="documents"),
    ),
)  # fmt: skip
