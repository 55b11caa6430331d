"""What a change reads and writes. Columns come as stored: SQLite keeps text in a number's column, and bytes in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.query import Command, Query

Stored = Any  # None, int, float, str or bytes


@dataclass(frozen=True, slots=True)
class Memory:
    id: Stored
    content: Stored
    type: Stored
    tags: Stored
    importance: Stored
    pinned: Stored
    version: Stored
    is_deleted: Stored


@dataclass(frozen=True, slots=True)
class Duplicate:
    id: Stored


MEMORY: Final = Query(
    "SELECT id, content, type, tags, importance, pinned, version, is_deleted FROM memories WHERE id = :id", row=Memory
)
# Another memory that is not forgotten and has this content.
DUPLICATE: Final = Query(
    "SELECT id FROM memories WHERE id <> :id AND content_hash = :content_hash AND is_deleted = 0 LIMIT 1",
    row=Duplicate,
)
# A column keeps its value where nothing new is given. With new content, extraction begins anew.
CHANGE: Final = Command(
    """
    UPDATE memories SET
        content = iif(:new_content, :content, content),
        normalized_content = iif(:new_content, :normalized_content, normalized_content),
        content_hash = iif(:new_content, :content_hash, content_hash),
        extraction_status = iif(:new_content, 'none', extraction_status),
        extraction_model = iif(:new_content, NULL, extraction_model),
        embedding_model = iif(:new_content, :embedding_model, embedding_model),
        type = iif(:new_type, :type, type),
        tags = iif(:new_tags, :tags, tags),
        importance = iif(:new_importance, :importance, importance),
        pinned = iif(:new_pinned, :pinned, pinned),
        updated_at = :at, updated_by = :changed_by, version = version + 1,
        update_count = COALESCE(update_count, 0) + 1
    WHERE id = :id
    """
)
DROP_OTHER_EMBEDDINGS: Final = Command(
    "DELETE FROM embeddings WHERE source_type = 'memory' AND source_id = :memory_id AND content_hash <> :content_hash"
)
# The vector of the same content may belong to another memory, a forgotten one: then it moves, and keeps its id.
PUT_EMBEDDING: Final = Command(
    """
    INSERT INTO embeddings (id, content_hash, vector, dimensions, source_type, source_id, chunk_text, created_at)
    VALUES (:id, :content_hash, :vector, :dimensions, 'memory', :memory_id, :content, :at)
    ON CONFLICT(content_hash) DO UPDATE SET
        vector = excluded.vector, dimensions = excluded.dimensions, source_type = excluded.source_type,
        source_id = excluded.source_id, chunk_text = excluded.chunk_text, created_at = excluded.created_at
    """
)
