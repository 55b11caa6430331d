"""How a memory comes into the database: found again or inserted, then its vector, then the job for the pipeline.

Each function is one work for the Writer. Between them, outside any transaction, the embedder is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.changing.content import NormalContent
from native_routes.changing.memory_vectors import EMBEDDINGS_OF, index_vector, unindex_vectors
from native_routes.database import Connection
from native_routes.javascript.values import bindable
from native_routes.outside import new_id
from native_routes.query import Command, Query

MOST_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class NewMemory:
    """One memory to be stored. Values that are Any come as the request has them, of any JSON type."""

    id: str
    content: NormalContent
    type: str
    who: Any
    project: Any
    importance: Any
    tags: Any
    pinned: bool
    source_type: str
    source_id: str | None
    created_at: str
    waits_for_extraction: bool


@dataclass(frozen=True, slots=True)
class KnownMemory:
    """A memory that is there already; columns as stored."""

    id: Any
    type: Any
    tags: Any
    pinned: Any
    importance: Any
    content: Any


@dataclass(frozen=True, slots=True)
class Found:
    found: int


BY_SOURCE: Final = Query(
    """
    SELECT id, type, tags, pinned, importance, content FROM memories
    WHERE source_type = :source_type AND source_id = :source_id AND is_deleted = 0 LIMIT 1
    """,
    row=KnownMemory,
)
BY_CONTENT: Final = Query(
    """
    SELECT id, type, tags, pinned, importance, content FROM memories
    WHERE content_hash = :content_hash AND is_deleted = 0 LIMIT 1
    """,
    row=KnownMemory,
)
# The index by which memories are searched for words is kept by triggers.
INSERT: Final = Command(
    """
    INSERT INTO memories (id, content, normalized_content, content_hash, who, why, project, importance, type, tags,
                          pinned, is_deleted, extraction_status, created_at, updated_at, updated_by, source_type,
                          source_id)
    VALUES (:id, :content, :normalized_content, :content_hash, :who, :why, :project, :importance, :type, :tags,
            :pinned, 0, :extraction_status, :created_at, :created_at, :who, :source_type,
            :source_id)
    """
)
FORGET_VECTORS: Final = Command("DELETE FROM embeddings WHERE source_type = 'memory' AND source_id = :memory_id")
KEEP_VECTOR: Final = Command(
    """
    INSERT INTO embeddings (id, content_hash, vector, dimensions, source_type, source_id, chunk_text, created_at)
    VALUES (:id, :content_hash, :vector, :dimensions, 'memory', :memory_id, :chunk_text, :created_at)
    """
)
NAME_MODEL: Final = Command("UPDATE memories SET embedding_model = :model WHERE id = :memory_id")
EXTRACTION_WAITS: Final = Query(
    """
    SELECT 1 FROM memory_jobs
    WHERE memory_id = :memory_id AND job_type = 'extract' AND status IN ('pending', 'leased') LIMIT 1
    """,
    row=Found,
)
ENQUEUE_EXTRACTION: Final = Command(
    """
    INSERT INTO memory_jobs (id, memory_id, job_type, status, attempts, max_attempts, created_at, updated_at)
    VALUES (:id, :memory_id, 'extract', 'pending', 0, :max_attempts, :now, :now)
    """
)
GIVE_UP_EXTRACTION: Final = Command(
    "UPDATE memories SET extraction_status = 'failed', extraction_model = NULL WHERE id = :memory_id"
)


def store(connection: Connection, memory: NewMemory) -> KnownMemory | None:
    """None after inserting it; else the memory that has its source or its content, forgotten ones aside.

    Raises UnbindableError for a list or an object where a column takes none.
    """
    known = None
    if memory.source_id is not None:
        known = BY_SOURCE.one(
            connection, source_type=bindable(memory.source_type), source_id=bindable(memory.source_id)
        )
    known = known or BY_CONTENT.one(connection, content_hash=memory.content.hash)
    if known is None:
        insert(connection, memory)
    return known


def insert(connection: Connection, memory: NewMemory) -> None:
    content = memory.content
    INSERT.run(
        connection,
        id=memory.id,
        content=bindable(content.storage),
        normalized_content=bindable(content.normalized),
        content_hash=content.hash,
        who=bindable(memory.who),
        why="explicit-critical" if memory.pinned else "explicit",
        project=bindable(memory.project),
        importance=bindable(memory.importance),
        type=memory.type,
        tags=bindable(memory.tags),
        pinned=int(memory.pinned),
        extraction_status="pending" if memory.waits_for_extraction else "none",
        created_at=memory.created_at,
        source_type=bindable(memory.source_type),
        source_id=bindable(memory.source_id),
    )


def keep_vector(connection: Connection, memory: NewMemory, vector: bytes, model: Any) -> None:
    """`vector`: 32-bit floats in the machine's order, of the configured number of dimensions.

    Raises ConstraintViolated when a forgotten memory of this content still has its vector: there is one for each.
    """
    content = memory.content
    if EMBEDDINGS_OF.all(connection, source_type="memory", source_id=memory.id):  # legacy's tracker was here meanwhile
        unindex_vectors(connection, "memory", memory.id)
        FORGET_VECTORS.run(connection, memory_id=memory.id)
    embedding_id = new_id()
    KEEP_VECTOR.run(
        connection,
        id=embedding_id,
        content_hash=content.hash,
        vector=vector,
        dimensions=len(vector) // 4,
        memory_id=memory.id,
        chunk_text=bindable(content.storage),
        created_at=memory.created_at,
    )
    index_vector(connection, embedding_id, vector)
    NAME_MODEL.run(connection, model=bindable(model), memory_id=memory.id)


def enqueue_extraction(connection: Connection, memory_id: str, now: str) -> None:
    """A job for the pipeline, unless one waits for this memory already."""
    if EXTRACTION_WAITS.one(connection, memory_id=memory_id) is None:
        ENQUEUE_EXTRACTION.run(connection, id=new_id(), memory_id=memory_id, max_attempts=MOST_ATTEMPTS, now=now)
