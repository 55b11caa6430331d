"""What the group reads and writes. Columns come as stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.query import Command, Query

Stored = Any  # None, int, float, str or bytes


@dataclass(frozen=True, slots=True)
class Document:
    """All columns, in the table's order: legacy answers the row as it is."""

    id: Stored
    source_url: Stored
    source_type: Stored
    content_type: Stored
    content_hash: Stored
    title: Stored
    raw_content: Stored
    status: Stored
    error: Stored
    connector_id: Stored
    chunk_count: Stored
    memory_count: Stored
    metadata_json: Stored
    created_at: Stored
    updated_at: Stored
    completed_at: Stored


@dataclass(frozen=True, slots=True)
class Count:
    count: int


@dataclass(frozen=True, slots=True)
class Chunk:
    id: Stored
    content: Stored
    type: Stored
    created_at: Stored
    chunk_index: Stored


@dataclass(frozen=True, slots=True)
class KnownDocument:
    id: Stored
    status: Stored


@dataclass(frozen=True, slots=True)
class Linked:
    memory_id: Stored


@dataclass(frozen=True, slots=True)
class Found:
    found: int


@dataclass(frozen=True, slots=True)
class Deleted:
    is_deleted: Stored


# Newest first; equal dates in the order in which SQLite meets the rows, as in legacy.
LIST: Final = Query(
    """
    SELECT id, source_url, source_type, content_type, content_hash, title, raw_content, status, error, connector_id,
           chunk_count, memory_count, metadata_json, created_at, updated_at, completed_at
    FROM documents ORDER BY created_at DESC LIMIT :limit OFFSET :offset
    """,
    row=Document,
)
LIST_OF_STATUS: Final = Query(
    """
    SELECT id, source_url, source_type, content_type, content_hash, title, raw_content, status, error, connector_id,
           chunk_count, memory_count, metadata_json, created_at, updated_at, completed_at
    FROM documents WHERE status = :status ORDER BY created_at DESC LIMIT :limit OFFSET :offset
    """,
    row=Document,
)
COUNT: Final = Query("SELECT count(*) FROM documents", row=Count)
COUNT_OF_STATUS: Final = Query("SELECT count(*) FROM documents WHERE status = :status", row=Count)
DOCUMENT: Final = Query(
    """
    SELECT id, source_url, source_type, content_type, content_hash, title, raw_content, status, error, connector_id,
           chunk_count, memory_count, metadata_json, created_at, updated_at, completed_at
    FROM documents WHERE id = :id
    """,
    row=Document,
)
CHUNKS: Final = Query(
    """
    SELECT memories.id, memories.content, memories.type, memories.created_at, document_memories.chunk_index
    FROM document_memories JOIN memories ON memories.id = document_memories.memory_id
    WHERE document_memories.document_id = :id AND memories.is_deleted = 0
    ORDER BY document_memories.chunk_index ASC
    """,
    row=Chunk,
)
# A document that failed or was deleted does not keep its address.
BY_ADDRESS: Final = Query(
    """
    SELECT id, status FROM documents
    WHERE source_url = :source_url AND status NOT IN ('failed', 'deleted') LIMIT 1
    """,
    row=KnownDocument,
)
INSERT: Final = Command(
    """
    INSERT INTO documents (id, source_url, source_type, content_type, title, raw_content, status, connector_id,
                           chunk_count, memory_count, metadata_json, created_at, updated_at)
    VALUES (:id, :source_url, :source_type, :content_type, :title, :raw_content, 'queued', :connector_id,
            0, 0, :metadata_json, :now, :now)
    """
)
INGEST_WAITS: Final = Query(
    """
    SELECT 1 FROM memory_jobs
    WHERE document_id = :document_id AND job_type = 'document_ingest' AND status IN ('pending', 'leased') LIMIT 1
    """,
    row=Found,
)
ENQUEUE_INGEST: Final = Command(
    """
    INSERT INTO memory_jobs (id, memory_id, document_id, job_type, status, attempts, max_attempts, created_at,
                             updated_at)
    VALUES (:id, NULL, :document_id, 'document_ingest', 'pending', 0, :max_attempts, :now, :now)
    """
)
LINKED: Final = Query("SELECT memory_id FROM document_memories WHERE document_id = :id", row=Linked)
MEMORY: Final = Query("SELECT is_deleted FROM memories WHERE id = :id", row=Deleted)
FORGET_MEMORY: Final = Command(
    """
    UPDATE memories SET is_deleted = 1, deleted_at = :now, updated_at = :now, updated_by = :changed_by,
                        version = version + 1
    WHERE id = :id
    """
)
RECORD: Final = Command(
    """
    INSERT INTO memory_history (id, memory_id, event, changed_by, reason, created_at)
    VALUES (:id, :memory_id, 'deleted', :changed_by, :reason, :now)
    """
)
MARK_DELETED: Final = Command(
    "UPDATE documents SET status = 'deleted', error = :reason, updated_at = :now WHERE id = :id"
)
