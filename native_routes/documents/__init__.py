"""Documents handed in for ingestion, and their chunks."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.documents import handlers as h
from native_routes.documents.queries import READS, WRITES

GROUP = RouteGroup(
    name="documents",
    phase=3,
    routes=(
        Route("POST",   "/api/documents",            h.add_document,    needs="documents"),
        Route("GET",    "/api/documents",            h.list_documents,  needs="documents"),
        Route("GET",    "/api/documents/:id",        h.show_document,   needs="documents"),
        Route("GET",    "/api/documents/:id/chunks", h.list_chunks,     needs="documents"),
        Route("DELETE", "/api/documents/:id",        h.forget_document, needs="documents"),
    ),
    reads=READS,
    writes=WRITES,
)  # fmt: skip
