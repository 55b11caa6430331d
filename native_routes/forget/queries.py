"""What forgetting and recovering read and write. Columns come as stored; `id` can be NULL or bytes too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from native_routes.query import Command, Query

Stored = Any  # None, int, float, str or bytes


@dataclass(frozen=True, slots=True)
class Memory:
    id: Stored
    content: Stored
    pinned: Stored
    version: Stored
    is_deleted: Stored
    deleted_at: Stored


@dataclass(frozen=True, slots=True)
class Found:
    id: Stored
    pinned: Stored
    version: Stored


@dataclass(frozen=True, slots=True)
class Ranked:
    id: Stored
    pinned: Stored
    version: Stored
    rank: Stored  # BM25: negative, the best match lowest


MEMORY: Final = Query(
    "SELECT id, content, pinned, version, is_deleted, deleted_at FROM memories WHERE id = :id", row=Memory
)
ACTIVE_MEMORY: Final = Query("SELECT id, pinned, version FROM memories WHERE is_deleted = 0 AND id = :id", row=Found)
FORGET: Final = Command(
    """
    UPDATE memories
    SET is_deleted = 1, deleted_at = :at, updated_at = :at, updated_by = :changed_by, version = version + 1
    WHERE id = :id
    """
)
RECOVER: Final = Command(
    """
    UPDATE memories
    SET is_deleted = 0, deleted_at = NULL, updated_at = :at, updated_by = :changed_by, version = version + 1
    WHERE id = :id
    """
)


@lru_cache(maxsize=256)
def match_query(conditions: str) -> Query[Ranked]:
    """In FTS5 syntax; the best match first."""
    return Query(
        "SELECT m.id, m.pinned, m.version, bm25(memories_fts) AS rank"  # noqa: S608  # constants only
        " FROM memories_fts JOIN memories m ON memories_fts.rowid = m.rowid"
        " WHERE memories_fts MATCH :query AND m.is_deleted = 0" + conditions + " ORDER BY rank LIMIT :limit",
        row=Ranked,
    )


@lru_cache(maxsize=256)
def like_query(conditions: str) -> Query[Found]:
    """What contains the text itself, the latest change first."""
    return Query(
        "SELECT m.id, m.pinned, m.version FROM memories m"  # noqa: S608  # constants only
        " WHERE m.is_deleted = 0 AND (m.content LIKE :pattern OR m.tags LIKE :pattern)"
        + conditions
        + " ORDER BY m.updated_at DESC LIMIT :limit",
        row=Found,
    )


@lru_cache(maxsize=256)
def filter_query(conditions: str) -> Query[Found]:
    """Pinned ones first, then the important ones, then by the latest change."""
    return Query(
        "SELECT m.id, m.pinned, m.version FROM memories m WHERE m.is_deleted = 0"  # noqa: S608  # constants only
        + conditions
        + " ORDER BY m.pinned DESC, m.importance DESC, m.updated_at DESC LIMIT :limit",
        row=Found,
    )
