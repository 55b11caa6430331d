"""Memories like one memory, by its stored vector."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from native_routes.database import Connection, Query
from native_routes.javascript.values import bindable, bound_text
from native_routes.recall.queries import NEAR_MEMORIES, texts
from native_routes.searching.embedders import Vector
from native_routes.searching.hybrid_ranking import round_to_2, slice_end
from native_routes.searching.vectors import Neighbour
from native_routes.stored_values import as_json
from native_routes.tags import parse_tags_field


@dataclass(frozen=True, slots=True)
class Anchor:
    vector: Any  # as stored


@dataclass(frozen=True, slots=True)
class SimilarRow:
    id: str
    content: Any
    type: Any
    tags: Any
    confidence: Any
    created_at: Any


ANCHOR: Final = Query(
    "SELECT vector FROM embeddings WHERE source_type = 'memory' AND source_id = :id LIMIT 1", row=Anchor
)
SIMILAR: Final = Query(
    """
    SELECT id, content, type, tags, confidence, created_at FROM memories
    WHERE id IN (SELECT value FROM json_each(:ids))
    """,
    row=SimilarRow,
)


def find_anchor(connection: Connection, memory: str) -> Vector | None:
    """The vector of a memory, None when it has none. Raises ValueError when it is no bytes of whole float32s."""
    found = ANCHOR.one(connection, id=bound_text(memory))
    if found is None:
        return None
    if not isinstance(found.vector, bytes):
        raise ValueError(f"a vector is stored as {type(found.vector).__name__}: expected bytes")
    return np.frombuffer(found.vector, dtype="<f4")


def load_similar(
    connection: Connection, nearest: Sequence[Neighbour], *, memory: str, type_: str | None, count: float
) -> list[dict[str, Any]]:
    """The first `count` of the neighbours as the route shows them, nearest first, deleted memories included.

    A memory with several vectors can come several times.
    """
    if not nearest:
        return []  # the tables of vectors may be missing
    rowids = json.dumps([near.rowid for near in nearest])
    hits = [hit for hit in NEAR_MEMORIES.all(connection, rowids=rowids, type=bindable(type_)) if hit.id != memory]
    shown = hits[: slice_end(count, len(hits))]
    found = SIMILAR.all(connection, ids=texts(hit.id for hit in shown))
    rows = {row.id: row for row in found}
    return [_entry(rows[hit.id], nearest[hit.place].distance or 0.0) for hit in shown if hit.id in rows]


def _entry(row: SimilarRow, distance: float) -> dict[str, Any]:
    return {
        "id": row.id,
        "content": as_json(row.content),
        "type": as_json(row.type),
        "tags": parse_tags_field(row.tags),
        "score": round_to_2(max(0.0, 1 - distance)),
        "confidence": as_json(row.confidence),
        "created_at": as_json(row.created_at),
    }
