"""Recall's statements. Lists are passed as JSON text; where the order of rows matters, it says so."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from native_routes.database import Query


@dataclass(frozen=True, slots=True)
class KeywordHit:
    id: str
    bm25: float
    access_count: Any
    last_accessed: Any


@dataclass(frozen=True, slots=True)
class NearHit:
    place: int  # in the list of rowids
    id: str
    access_count: Any
    last_accessed: Any


@dataclass(frozen=True, slots=True)
class RankedRow:
    rowid: int
    bm25: float


@dataclass(frozen=True, slots=True)
class Id:
    id: str


@dataclass(frozen=True, slots=True)
class Access:
    id: str
    access_count: Any
    last_accessed: Any


@dataclass(frozen=True, slots=True)
class StoredVector:
    memory_id: str
    vector: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A memory as recall shows it. Columns keep whatever type was stored."""

    id: str
    content: Any
    type: Any
    tags: Any
    pinned: Any
    importance: Any
    who: Any
    project: Any
    created_at: Any


@dataclass(frozen=True, slots=True)
class Weighted:
    id: str
    importance: Any


@dataclass(frozen=True, slots=True)
class Entity:
    id: str
    canonical_name: Any
    name: Any
    agent_id: Any


@dataclass(frozen=True, slots=True)
class State:
    text: str | None


@dataclass(frozen=True, slots=True)
class EntityName:
    id: str
    name: Any


@dataclass(frozen=True, slots=True)
class Number:
    number: int


@dataclass(frozen=True, slots=True)
class Behind:
    memory_id: str


# Best first; equal scores in the order of the full-text index. Without conditions the memories need not be looked at
# before the cut, which is what makes a common word quick.
BEST_ROWS: Final = Query(
    """
    SELECT rowid, bm25(memories_fts) AS bm25 FROM memories_fts WHERE memories_fts MATCH :match
    ORDER BY bm25 LIMIT :limit
    """,
    row=RankedRow,
)
MEMORIES_BY_ROWID: Final = Query(
    """
    SELECT m.id, m.access_count, m.last_accessed
    FROM json_each(:rowids) found CROSS JOIN memories m ON m.rowid = found.value
    """,
    row=Access,
)


@lru_cache(maxsize=256)
def keyword_query(conditions: str) -> Query[KeywordHit]:
    """Legacy's statement with the conditions of a Filter; the order of equal scores follows the index it leads to."""
    return Query(
        "SELECT m.id, bm25(memories_fts) AS bm25, m.access_count, m.last_accessed"  # noqa: S608  # constants only
        " FROM memories_fts JOIN memories m ON memories_fts.rowid = m.rowid WHERE memories_fts MATCH :match"
        + conditions
        + " ORDER BY bm25 LIMIT :limit",
        row=KeywordHit,
    )


# The memories behind found vectors, in the order of the list; vectors without a memory are left out.
NEAR_MEMORIES: Final = Query(
    """
    SELECT near.key AS place, e.source_id AS id, m.access_count, m.last_accessed
    FROM json_each(:rowids) near
    CROSS JOIN vec_embeddings_rowids v ON v.rowid = near.value
    CROSS JOIN embeddings e ON e.id = v.id
    CROSS JOIN memories m ON m.id = e.source_id
    WHERE :type IS NULL OR m.type = :type
    """,
    row=NearHit,
)
MEMORIES: Final = Query(
    """
    SELECT id, content, type, tags, pinned, importance, who, project, created_at
    FROM memories WHERE id IN (SELECT value FROM json_each(:ids))
    """,
    row=Found,
)
# A memory can have several; the last one counts.
STORED_VECTORS: Final = Query(
    """
    SELECT source_id AS memory_id, vector FROM embeddings
    WHERE source_type = 'memory' AND source_id IN (SELECT value FROM json_each(:ids))
    """,
    row=StoredVector,
)

# ---- graph and traversal. Legacy leaves the order of equals to its plans, which go through the tables in the order of
# their rows; ours take other ways and therefore name that order. `+` keeps SQLite from legacy's slow indexes.

# Most mentioned first.
ENTITIES: Final = Query(
    "SELECT id, canonical_name, name, agent_id FROM entities ORDER BY mentions DESC, rowid", row=Entity
)
# A text that is another one when ENTITIES has another answer; it takes a tenth of the time.
ENTITIES_STATE: Final = Query(
    """
    SELECT group_concat(quote(id) || quote(canonical_name) || quote(name) || quote(agent_id) || quote(mentions)) AS text
    FROM entities
    """,
    row=State,
)
NEIGHBOURS: Final = Query(
    """
    SELECT target_entity_id AS id FROM relations WHERE source_entity_id IN (SELECT value FROM json_each(:entities))
    UNION
    SELECT source_entity_id AS id FROM relations WHERE target_entity_id IN (SELECT value FROM json_each(:entities))
    ORDER BY id LIMIT 50
    """,
    row=Id,
)
# The inner LIMIT keeps SQLite from going through the memories in another order, and from reading all of their rows.
MENTIONING: Final = Query(
    """
    SELECT m.id FROM (
      SELECT found.rowid AS place FROM memories found WHERE found.id IN (
        SELECT memory_id FROM memory_entity_mentions WHERE entity_id IN (SELECT value FROM json_each(:entities)))
      ORDER BY found.rowid LIMIT -1
    ) CROSS JOIN memories m ON m.rowid = place
    WHERE m.is_deleted = 0 LIMIT 200
    """,
    row=Id,
)
PINNED_ENTITIES: Final = Query(
    "SELECT id FROM entities WHERE agent_id = :agent AND pinned = 1 ORDER BY pinned_at DESC, updated_at DESC", row=Id
)
BEHIND_ENTITIES: Final = Query(
    """
    SELECT DISTINCT attribute.memory_id
    FROM json_each(:entities) entity
    CROSS JOIN entity_aspects aspect ON aspect.rowid IN (
      SELECT rowid FROM entity_aspects WHERE entity_id = entity.value AND +agent_id = :agent
      ORDER BY weight DESC, rowid LIMIT :aspects)
    CROSS JOIN entity_attributes attribute ON attribute.rowid IN (
      SELECT rowid FROM entity_attributes WHERE aspect_id = aspect.id AND +agent_id = :agent AND +status = 'active'
      ORDER BY importance DESC, rowid LIMIT :attributes)
    WHERE attribute.memory_id <> ''
    """,
    row=Behind,
)
DEPENDENCIES: Final = Query(
    """
    SELECT target_entity_id AS id FROM entity_dependencies
    WHERE +agent_id = :agent AND source_entity_id IN (SELECT value FROM json_each(:entities)) AND strength >= :strength
    ORDER BY strength DESC, rowid LIMIT :hops
    """,
    row=Id,
)

ENTITY_NAMES: Final = Query(
    "SELECT id, name FROM entities WHERE id IN (SELECT value FROM json_each(:ids))", row=EntityName
)
CONSTRAINTS: Final = Query(
    """
    SELECT count(*) AS number FROM (
      SELECT DISTINCT e.name, attribute.content
      FROM json_each(:entities) entity
      CROSS JOIN entities e ON e.id = entity.value
      CROSS JOIN entity_aspects aspect ON aspect.entity_id = e.id AND +aspect.agent_id = :agent
      CROSS JOIN entity_attributes attribute ON attribute.aspect_id = aspect.id AND +attribute.agent_id = :agent
      WHERE +attribute.kind = 'constraint' AND +attribute.status = 'active')
    """,
    row=Number,
)


@lru_cache(maxsize=256)
def behind_query(conditions: str) -> Query[Weighted]:
    """Live memories among `ids` that pass a Filter, by id, with the importance of their best active attribute."""
    return Query(
        "WITH best AS MATERIALIZED ("  # noqa: S608  # constants only
        " SELECT memory_id, MAX(importance) AS importance FROM entity_attributes"
        " WHERE memory_id IN (SELECT value FROM json_each(:ids)) AND +agent_id = :agent AND +status = 'active'"
        " GROUP BY memory_id)"
        " SELECT m.id, COALESCE((SELECT importance FROM best WHERE memory_id = m.id), m.importance, 0.5) AS importance"
        " FROM memories m WHERE m.id IN (SELECT value FROM json_each(:ids)) AND +m.is_deleted = 0"
        + conditions
        + " ORDER BY m.id",
        row=Weighted,
    )


# ---- rationales of decisions among the results

MENTIONED: Final = Query(
    """
    SELECT DISTINCT entity_id AS id FROM memory_entity_mentions
    WHERE memory_id IN (SELECT value FROM json_each(:ids))
    """,
    row=Id,
)
RATIONALES: Final = Query(
    """
    SELECT m.id, m.content, m.type, m.tags, m.pinned, m.importance, m.who, m.project, m.created_at FROM (
      SELECT found.rowid AS place FROM memories found WHERE found.id IN (
        SELECT memory_id FROM memory_entity_mentions WHERE entity_id IN (SELECT value FROM json_each(:entities)))
      ORDER BY found.rowid LIMIT -1
    ) CROSS JOIN memories m ON m.rowid = place
    WHERE m.type = 'rationale' AND m.is_deleted = 0 LIMIT 10
    """,
    row=Found,
)
