"""How a memory comes into the database: found again or inserted, then its vector, then the job for the pipeline.

Each function that ends in `_all` is a work that the Writer does for all who wait for it at the same time, by few
statements. Between them, outside any transaction, the embedder is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from native_routes.changing.content import NormalContent
from native_routes.changing.memory_vectors import index_vectors, unindex_vectors
from native_routes.database import Connection
from native_routes.javascript.values import bindable
from native_routes.outside import new_id
from native_routes.query import Command, Insertion, Query

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
class NewVector:
    """`vector`: 32-bit floats in the machine's order, of the configured number of dimensions; `model` of any type."""

    memory: NewMemory
    vector: bytes
    model: Any


@dataclass(frozen=True, slots=True)
class NewJob:
    memory_id: str
    now: str


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
class ByHash:
    """A KnownMemory behind its content's hash."""

    content_hash: str
    id: Any
    type: Any
    tags: Any
    pinned: Any
    importance: Any
    content: Any

    @property
    def memory(self) -> KnownMemory:
        return KnownMemory(self.id, self.type, self.tags, self.pinned, self.importance, self.content)


@dataclass(frozen=True, slots=True)
class SourceId:
    source_id: Any


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
BY_CONTENTS: Final = Query(
    """
    SELECT m.content_hash, m.id, m.type, m.tags, m.pinned, m.importance, m.content
    FROM json_each(:hashes) wanted CROSS JOIN memories m ON m.content_hash = wanted.value AND m.is_deleted = 0
    """,
    row=ByHash,
)
# The index by which memories are searched for words is kept by triggers.
INSERT: Final = Insertion(
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
HAVE_VECTORS: Final = Query(
    """
    SELECT DISTINCT source_id FROM embeddings
    WHERE source_type = 'memory' AND source_id IN (SELECT value FROM json_each(:memory_ids))
    """,
    row=SourceId,
)
KEEP_VECTOR: Final = Insertion(
    """
    INSERT INTO embeddings (id, content_hash, vector, dimensions, source_type, source_id, chunk_text, created_at)
    VALUES (:id, :content_hash, :vector, :dimensions, 'memory', :memory_id, :chunk_text, :created_at)
    """
)
# By row, in the rows' order: FTS5 writes its index out whenever it is given a row before the last one.
NAME_MODEL: Final = Command(
    """
    UPDATE memories SET embedding_model = :model WHERE rowid IN
        (SELECT rowid FROM memories WHERE id IN (SELECT value FROM json_each(:memory_ids)))
    """
)
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


def store_all(connection: Connection, memories: Sequence[NewMemory]) -> list[KnownMemory | None]:
    """For each, None after inserting it; else the memory that has its source or its content, forgotten ones aside.

    One may have those of another before it. Raises UnbindableError for a list or an object where a column takes none.
    """
    return [known for part in _distinct(memories) for known in _store_distinct(connection, part)]


def _distinct(memories: Sequence[NewMemory]) -> Iterator[list[NewMemory]]:
    """The same in their order, in parts in which no two have the same content or source."""
    part: list[NewMemory] = []
    seen: set[object] = set()
    for memory in memories:
        marks: set[object] = {memory.content.hash}
        if memory.source_id is not None:
            marks.add((bindable(memory.source_type), bindable(memory.source_id)))  # as stored: two texts can be one
        if marks & seen:
            yield part
            part, seen = [], set()
        part.append(memory)
        seen |= marks
    yield part


def _store_distinct(connection: Connection, memories: list[NewMemory]) -> list[KnownMemory | None]:
    hashes = json.dumps([memory.content.hash for memory in memories])
    by_hash = {found.content_hash: found.memory for found in BY_CONTENTS.all(connection, hashes=hashes)}
    known = [_of_source(connection, memory) or by_hash.get(memory.content.hash) for memory in memories]
    INSERT.run_all(connection, [_row(memory) for memory, found in zip(memories, known, strict=True) if found is None])
    return known


def _of_source(connection: Connection, memory: NewMemory) -> KnownMemory | None:
    if memory.source_id is None:
        return None
    return BY_SOURCE.one(connection, source_type=bindable(memory.source_type), source_id=bindable(memory.source_id))


def insert(connection: Connection, memory: NewMemory) -> None:
    INSERT.run_all(connection, [_row(memory)])


def _row(memory: NewMemory) -> dict[str, object]:
    content = memory.content
    return {
        "id": memory.id,
        "content": bindable(content.storage),
        "normalized_content": bindable(content.normalized),
        "content_hash": content.hash,
        "who": bindable(memory.who),
        "why": "explicit-critical" if memory.pinned else "explicit",
        "project": bindable(memory.project),
        "importance": bindable(memory.importance),
        "type": memory.type,
        "tags": bindable(memory.tags),
        "pinned": int(memory.pinned),
        "extraction_status": "pending" if memory.waits_for_extraction else "none",
        "created_at": memory.created_at,
        "source_type": bindable(memory.source_type),
        "source_id": bindable(memory.source_id),
    }


def keep_vectors_all(connection: Connection, vectors: Sequence[NewVector]) -> list[None]:
    """Raises ConstraintViolated when a forgotten memory of such content still has its vector: there is one for each."""
    memory_ids = json.dumps([new.memory.id for new in vectors])
    for found in HAVE_VECTORS.all(connection, memory_ids=memory_ids):  # legacy's tracker was here meanwhile
        unindex_vectors(connection, "memory", found.source_id)
        FORGET_VECTORS.run(connection, memory_id=found.source_id)
    rows = [_vector_row(new) for new in vectors]
    KEEP_VECTOR.run_all(connection, rows)
    index_vectors(connection, [{"id": row["id"], "embedding": row["vector"]} for row in rows])
    for model, named in groupby(vectors, key=_model):
        NAME_MODEL.run(connection, model=model[1], memory_ids=json.dumps([new.memory.id for new in named]))
    return [None] * len(vectors)


def _vector_row(new: NewVector) -> dict[str, object]:
    return {
        "id": new_id(),
        "content_hash": new.memory.content.hash,
        "vector": new.vector,
        "dimensions": len(new.vector) // 4,
        "memory_id": new.memory.id,
        "chunk_text": bindable(new.memory.content.storage),
        "created_at": new.memory.created_at,
    }


def _model(new: NewVector) -> tuple[type, object]:
    """With its type, since 1 and 1.0 and True are equal."""
    model = bindable(new.model)
    return type(model), model


def enqueue_extraction_all(connection: Connection, jobs: Sequence[NewJob]) -> list[None]:
    """A job for the pipeline for each, unless one waits for its memory already."""
    for job in jobs:
        if EXTRACTION_WAITS.one(connection, memory_id=job.memory_id) is None:
            ENQUEUE_EXTRACTION.run(
                connection, id=new_id(), memory_id=job.memory_id, max_attempts=MOST_ATTEMPTS, now=job.now
            )
    return [None] * len(jobs)
