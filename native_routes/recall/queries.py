"""Recall's statements. Lists are passed as JSON text; where the order of rows matters, it says so."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from native_routes.database import Query


def texts(ids: Iterable[object]) -> str:
    """Those of the ids that are text, for json_each(). SQLite keeps bytes in an id's column too; they find nothing."""
    return json.dumps([id for id in ids if isinstance(id, str)])


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
class TablesState:
    mention: int | None
    mention_text: str | None
    memories: int
    memory: int | None
    memory_id: str | None
    schema: int


@dataclass(frozen=True, slots=True)
class NewerRows:
    mentions: int
    mention_text: str | None
    memories: int
    memory_id: str | None


@dataclass(frozen=True, slots=True)
class AttributesState:
    number: int
    highest: int | None
    newest: str | None
    newer: int
    known: str | None
    schema: int


@dataclass(frozen=True, slots=True)
class AttributeRows:
    memory_id: str
    rows: str  # between commas


@dataclass(frozen=True, slots=True)
class MemoryRow:
    id: str
    rowid: int


@dataclass(frozen=True, slots=True)
class Added:
    entity_id: str
    rows: str  # row numbers of memories, between commas


@dataclass(frozen=True, slots=True)
class Behind:
    entity_id: str
    memory_id: str


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
ROWS_OF: Final = Query(
    "SELECT m.id, m.rowid FROM json_each(:ids) given CROSS JOIN memories m ON m.id = given.value", row=MemoryRow
)
# SQLite counts by the pages of an index.
MENTIONS: Final = Query("SELECT count(*) AS number FROM memory_entity_mentions", row=Number)
# The highest row numbers, and what is in these rows.
TABLES_STATE: Final = Query(
    """
    SELECT mention.rowid AS mention,
      quote(mention.memory_id) || quote(mention.entity_id) || quote(mention.created_at) AS mention_text,
      (SELECT count(*) FROM memories) AS memories, m.rowid AS memory, m.id AS memory_id,
      (SELECT schema_version FROM pragma_schema_version) AS schema
    FROM (SELECT 1) LEFT JOIN memory_entity_mentions mention
        ON mention.rowid = (SELECT max(rowid) FROM memory_entity_mentions)
      LEFT JOIN memories m ON m.rowid = (SELECT max(rowid) FROM memories)
    """,
    row=TablesState,
)
NEWER_ROWS: Final = Query(
    """
    SELECT (SELECT count(*) FROM memory_entity_mentions WHERE rowid > :mention) AS mentions,
      (SELECT quote(memory_id) || quote(entity_id) || quote(created_at)
       FROM memory_entity_mentions WHERE rowid = :mention) AS mention_text,
      (SELECT count(*) FROM memories WHERE rowid > :memory) AS memories,
      (SELECT id FROM memories WHERE rowid = :memory) AS memory_id
    """,
    row=NewerRows,
)
MENTIONS_ADDED: Final = Query(
    """
    SELECT entity_id, group_concat(place) AS rows FROM (
      SELECT mention.entity_id, m.rowid AS place
      FROM memory_entity_mentions mention CROSS JOIN memories m ON m.id = mention.memory_id
      WHERE mention.rowid > :rowid)
    GROUP BY entity_id
    """,
    row=Added,
)
# Memories made since that were mentioned before: mentions of which the row number could not be known.
LATE_MEMORIES: Final = Query(
    """
    SELECT count(*) AS number FROM memories m CROSS JOIN memory_entity_mentions mention ON mention.memory_id = m.id
    WHERE m.rowid > :memory AND mention.rowid <= :mention
    """,
    row=Number,
)
# Three ranges of one index.
DEAD_ROWS: Final = Query(
    """
    SELECT group_concat(place) AS text FROM (
      SELECT rowid AS place FROM memories WHERE is_deleted > 0
      UNION ALL SELECT rowid FROM memories WHERE is_deleted < 0
      UNION ALL SELECT rowid FROM memories WHERE is_deleted IS NULL)
    """,
    row=State,
)
# Deleted ones too: whether one is, only its row tells, and reading all of them takes a hundred times as long.
RATIONALE_ROWS: Final = Query("SELECT group_concat(rowid) AS text FROM memories WHERE type = 'rationale'", row=State)
PINNED_ENTITIES: Final = Query(
    "SELECT id FROM entities WHERE agent_id = :agent AND pinned = 1 ORDER BY pinned_at DESC, updated_at DESC", row=Id
)
# By entity's heaviest aspects, and their most important attributes; a memory can come again.
BEHIND_ENTITIES: Final = Query(
    """
    SELECT entity.value AS entity_id, attribute.memory_id
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


# As TABLES_STATE and NEWER_ROWS for mentions.
ATTRIBUTES_STATE: Final = Query(
    """
    SELECT (SELECT count(*) FROM entity_attributes) AS number, newest.rowid AS highest, newest.id AS newest,
      (SELECT count(*) FROM entity_attributes WHERE rowid > :rowid) AS newer,
      (SELECT id FROM entity_attributes WHERE rowid = :rowid) AS known,
      (SELECT schema_version FROM pragma_schema_version) AS schema
    FROM (SELECT 1) LEFT JOIN entity_attributes newest ON newest.rowid = (SELECT max(rowid) FROM entity_attributes)
    """,
    row=AttributesState,
)
ATTRIBUTES_ADDED: Final = Query(
    """
    SELECT memory_id, group_concat(rowid) AS rows FROM entity_attributes
    WHERE rowid > :rowid AND memory_id IS NOT NULL GROUP BY memory_id
    """,
    row=AttributeRows,
)
# Two statements: joined into one, SQLite goes through tables of its own making, which takes twice as long.
BEST_ATTRIBUTES: Final = Query(
    """
    SELECT attribute.memory_id AS id, MAX(attribute.importance) AS importance
    FROM json_each(:rows) place CROSS JOIN entity_attributes attribute ON attribute.rowid = place.value
    WHERE +attribute.agent_id = :agent AND +attribute.status = 'active'
    GROUP BY attribute.memory_id
    """,
    row=Weighted,
)
LIVE: Final = Query(
    """
    SELECT m.id, COALESCE(m.importance, 0.5) AS importance
    FROM json_each(:ids) given CROSS JOIN memories m ON m.id = given.value WHERE m.is_deleted = 0
    """,
    row=Weighted,
)


@lru_cache(maxsize=256)
def passing_query(conditions: str) -> Query[Id]:
    """The memories among `ids` that pass a Filter."""
    return Query(
        "SELECT m.id FROM json_each(:ids) given CROSS JOIN memories m ON m.id = given.value WHERE 1 = 1"  # noqa: S608
        + conditions,
        row=Id,
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
    SELECT m.id, m.content, m.type, m.tags, m.pinned, m.importance, m.who, m.project, m.created_at
    FROM json_each(:rows) place CROSS JOIN memories m ON m.rowid = place.value
    """,
    row=Found,
)
