"""Documents handed in for ingestion, and their chunks."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.lazily import Handlers

h = Handlers("native_routes.documents.handlers")

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
    reads=frozenset({"documents", "document_memories", "memories", "memory_jobs"}),
    writes=frozenset({"documents", "memories", "memories_fts", "memory_history", "memory_jobs"}),
)  # fmt: skip
