"""What the group reads. Columns come as stored: SQLite keeps text in a number's column, and bytes in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.query import Query

Stored = Any  # None, int, float, str or bytes


@dataclass(frozen=True, slots=True)
class Counts:
    total: int  # forgotten memories too
    critical: int


@dataclass(frozen=True, slots=True)
class Embeddings:
    count: int


@dataclass(frozen=True, slots=True)
class Page:
    """The listed memories as the bytes of a JSON array. A text that is not UTF-8 is in there as it is stored."""

    memories: bytes


@dataclass(frozen=True, slots=True)
class Listed:
    id: Stored
    content: Stored
    created_at: Stored
    who: Stored
    importance: Stored
    tags: Stored
    source_type: Stored
    pinned: Stored
    type: Stored


@dataclass(frozen=True, slots=True)
class Memory:
    id: Stored
    content: Stored
    type: Stored
    importance: Stored
    tags: Stored
    pinned: Stored
    who: Stored
    source_id: Stored
    source_type: Stored
    project: Stored
    session_id: Stored
    confidence: Stored
    access_count: Stored
    last_accessed: Stored
    is_deleted: Stored
    deleted_at: Stored
    extraction_status: Stored
    embedding_model: Stored
    version: Stored
    created_at: Stored
    updated_at: Stored
    updated_by: Stored


@dataclass(frozen=True, slots=True)
class Known:
    known: int


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    id: Stored
    event: Stored
    old_content: Stored
    new_content: Stored
    changed_by: Stored
    actor_type: Stored
    reason: Stored
    metadata: Stored
    created_at: Stored
    session_id: Stored
    request_id: Stored


@dataclass(frozen=True, slots=True)
class Job:
    id: Stored
    memory_id: Stored
    document_id: Stored
    job_type: Stored
    status: Stored
    attempts: Stored
    max_attempts: Stored
    error: Stored
    leased_at: Stored
    completed_at: Stored
    failed_at: Stored
    created_at: Stored
    updated_at: Stored


@dataclass(frozen=True, slots=True)
class DatedMemory:
    created_at: Stored
    type: Stored
    who: Stored
    importance: Stored
    pinned: Stored
    tags: Stored


@dataclass(frozen=True, slots=True)
class DatedEvent:
    created_at: Stored
    event: Stored
    reason: Stored


# Newest first; the index, which is walked backwards in the same way by legacy, decides between equal dates.
LIST: Final = Query(
    """
    SELECT id, content, created_at, who, importance, tags, source_type, pinned, type
    FROM memories ORDER BY created_at DESC LIMIT :limit OFFSET :offset
    """,
    row=Listed,
)
COUNTS: Final = Query(
    """
    SELECT (SELECT count(*) FROM memories),
           (SELECT count(*) FROM memories WHERE importance >= 0.9)
    """,
    row=Counts,
)
EMBEDDINGS: Final = Query("SELECT count(*) FROM embeddings", row=Embeddings)
# LIST in one step of SQLite, which needs no interpreter meanwhile. Its JSON of texts is JavaScript's; its numbers are
# not, so they are written here: whole ones below 2^53, and fractions whose shortest form has at most 15 digits: those
# survive being written with 15. Any other number becomes x'', as do stored bytes, which could pass for SQLite's binary
# JSON: x'' is none, the statement fails, and LIST must be used.
PAGE: Final = Query(
    """
    SELECT CAST(json_group_array(json_object(
        'id', iif(typeof(id) = 'blob', x'', id),
        'content', iif(typeof(content) = 'blob', x'', content),
        'created_at', iif(typeof(created_at) = 'blob', x'', created_at),
        'who', iif(typeof(who) = 'blob', x'', who),
        'importance',
        CASE WHEN typeof(importance) IN ('text', 'null') THEN importance
             WHEN typeof(importance) <> 'real' THEN x''
             WHEN abs(importance) < 1e15 AND importance = CAST(importance AS INTEGER) THEN CAST(importance AS INTEGER)
             WHEN abs(importance) BETWEEN 0.001 AND 1e6 AND CAST(printf('%.15g', importance) AS REAL) = importance
               THEN json(printf('%.15g', importance))
             ELSE x'' END,
        'tags', iif(typeof(tags) = 'blob', x'', tags),
        'source_type', iif(typeof(source_type) = 'blob', x'', source_type),
        'pinned',
        CASE WHEN typeof(pinned) IN ('text', 'null') THEN pinned
             WHEN typeof(pinned) = 'integer' AND abs(pinned / 2) < 4503599627370496 THEN pinned
             ELSE x'' END,
        'type', iif(typeof(type) = 'blob', x'', type))) AS BLOB)
    FROM (SELECT id, content, created_at, who, importance, tags, source_type, pinned, type
          FROM memories ORDER BY created_at DESC LIMIT :limit OFFSET :offset)
    """,
    row=Page,
)
# Schema 30 has no session_id; clients expect the key, and a home that has the column all the same shows it:
# a name that `m` does not have is looked for one level further out, where it is NULL.
MEMORY: Final = Query(
    """
    SELECT id, content, type, importance, tags, pinned, who, source_id, source_type, project,
           (SELECT (SELECT session_id FROM memories m WHERE m.id = :id) FROM (SELECT NULL AS session_id)) AS session_id,
           confidence, access_count, last_accessed, is_deleted, deleted_at, extraction_status, embedding_model, version,
           created_at, updated_at, updated_by
    FROM memories WHERE id = :id AND (is_deleted = 0 OR is_deleted IS NULL)
    """,
    row=Memory,
)
KNOWN_MEMORY: Final = Query("SELECT 1 FROM memories WHERE id = :id", row=Known)
# The oldest first; equal dates in the order of insertion.
HISTORY: Final = Query(
    """
    SELECT id, event, old_content, new_content, changed_by, actor_type, reason, metadata, created_at, session_id,
           request_id
    FROM memory_history WHERE memory_id = :id ORDER BY created_at LIMIT :limit
    """,
    row=HistoryEntry,
)
JOB: Final = Query(
    """
    SELECT id, memory_id, document_id, job_type, status, attempts, max_attempts, error, leased_at, completed_at,
           failed_at, created_at, updated_at
    FROM memory_jobs WHERE id = :id
    """,
    row=Job,
)
# Texts are compared, so a date of the first day in SQLite's own form, with a blank for the T, is left out.
MEMORIES_SINCE: Final = Query(
    """
    SELECT created_at, type, who, importance, pinned, tags
    FROM memories WHERE is_deleted = 0 AND created_at >= :since ORDER BY created_at DESC
    """,
    row=DatedMemory,
)
EVENTS_SINCE: Final = Query(
    """
    SELECT history.created_at, history.event, history.reason
    FROM memory_history AS history JOIN memories ON memories.id = history.memory_id
    WHERE memories.is_deleted = 0 AND history.created_at >= :since
    """,
    row=DatedEvent,
)
