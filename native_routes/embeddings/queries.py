"""What the group reads. Columns come as stored: SQLite keeps text in a number's column, and bytes in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.query import Query

Stored = Any  # None, int, float, str or bytes


@dataclass(frozen=True, slots=True)
class Count:
    n: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """A memory, once for each of its embeddings. `dimensions` is a claim: `vector` holds what it holds."""

    id: Stored
    content: Stored
    who: Stored
    importance: Stored
    type: Stored
    tags: Stored
    source_type: Stored
    source_id: Stored
    created_at: Stored
    vector: Stored
    dimensions: Stored


@dataclass(frozen=True, slots=True)
class Dimensions:
    dimensions: Stored


@dataclass(frozen=True, slots=True)
class Model:
    embedding_model: Stored


# Forgotten memories too.
TOTAL: Final = Query(
    """
    SELECT count(*) FROM embeddings e JOIN memories m ON m.id = e.source_id WHERE e.source_type = 'memory'
    """,
    row=Count,
)
# Newest first; the index on created_at, walked backwards, decides between equal dates.
PAGE: Final = Query(
    """
    SELECT m.id, m.content, m.who, m.importance, m.type, m.tags, m.source_type, m.source_id, m.created_at,
           NULL AS vector, NULL AS dimensions
    FROM embeddings e JOIN memories m ON m.id = e.source_id
    WHERE e.source_type = 'memory' ORDER BY m.created_at DESC LIMIT :limit OFFSET :offset
    """,
    row=Embedded,
)
PAGE_WITH_VECTORS: Final = Query(
    """
    SELECT m.id, m.content, m.who, m.importance, m.type, m.tags, m.source_type, m.source_id, m.created_at,
           e.vector, e.dimensions
    FROM embeddings e JOIN memories m ON m.id = e.source_id
    WHERE e.source_type = 'memory' ORDER BY m.created_at DESC LIMIT :limit OFFSET :offset
    """,
    row=Embedded,
)
ACTIVE: Final = Query("SELECT count(*) FROM memories WHERE is_deleted = 0", row=Count)
# A memory with two embeddings counts twice, as legacy counts it.
ACTIVE_EMBEDDED: Final = Query(
    """
    SELECT count(*) FROM memories m JOIN embeddings e ON e.source_type = 'memory' AND e.source_id = m.id
    WHERE m.is_deleted = 0
    """,
    row=Count,
)
DIMENSIONS: Final = Query("SELECT DISTINCT dimensions FROM embeddings", row=Dimensions)
MODELS: Final = Query("SELECT DISTINCT embedding_model FROM memories WHERE embedding_model IS NOT NULL", row=Model)
# The rows of vec_embeddings as sqlite-vec keeps them: asking vec0 itself takes half a millisecond for each.
WITHOUT_VECTOR: Final = Query(
    "SELECT count(*) FROM embeddings e LEFT JOIN vec_embeddings_rowids v ON v.id = e.id WHERE v.id IS NULL", row=Count
)
VECTORS: Final = Query("SELECT count(*) FROM vec_embeddings_rowids", row=Count)
EMBEDDINGS: Final = Query("SELECT count(*) FROM embeddings", row=Count)
ORPHANS: Final = Query(
    """
    SELECT count(*) FROM embeddings e LEFT JOIN memories m ON e.source_type = 'memory' AND e.source_id = m.id
    WHERE e.source_type = 'memory' AND (m.id IS NULL OR m.is_deleted = 1)
    """,
    row=Count,
)
