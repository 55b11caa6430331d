"""The two sources of candidates: memories found by words, and memories found by the query's vector."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from native_routes.database import Connection
from native_routes.javascript.values import SqlValue, bindable
from native_routes.recall.queries import (
    MEMORIES_BY_ROWID,
    NEAR_MEMORIES,
    Access,
    KeywordHit,
    NearHit,
    keyword_query,
)
from native_routes.searching.filters import Filter
from native_routes.searching.hybrid_ranking import normalise_bm25
from native_routes.searching.vectors import Neighbour
from native_routes.searching.word_index import WordIndex


@dataclass(frozen=True, slots=True)
class Scored:
    """Memory id -> score, best first; and the rows behind it, which also tell how each memory was used."""

    scores: dict[str, float] = field(default_factory=dict)
    rows: Sequence[Access | KeywordHit | NearHit] = ()


def find_keywords(connection: Connection, words: WordIndex, match: str, conditions: Filter, limit: float) -> Scored:
    """By BM25 relative to the best; deleted memories are found too.

    Raises StatementError for FTS5 syntax or a limit that is no whole number, and UnbindableError.
    """
    values = {"match": bindable(match), "limit": bindable(limit)}
    if not conditions.sql:
        best = words.best(connection, **values)
        found = MEMORIES_BY_ROWID.all(connection, rowids=json.dumps([row.rowid for row in best]))
        if len(found) == len(best):
            scores = normalise_bm25([(memory.id, row.bm25) for memory, row in zip(found, best, strict=True)])
            return Scored(scores, found)
        # The full-text index knows rows that are gone: they must not count for the limit.
    hits = keyword_query(conditions.sql).all(connection, **values, **conditions.bound())
    return Scored(normalise_bm25([(hit.id, hit.bm25) for hit in hits]), hits)


def find_near(connection: Connection, nearest: Sequence[Neighbour], type_: SqlValue) -> Scored:
    """By likeness, 1 - distance and never below 0. Of several vectors of a memory the farthest counts.

    The type filters what was found, after the cut to the nearest.
    """
    rowids = json.dumps([near.rowid for near in nearest])
    hits = NEAR_MEMORIES.all(connection, rowids=rowids, type=type_)
    scores = {hit.id: max(0.0, 1 - (nearest[hit.place].distance or 0.0)) for hit in hits}
    return Scored(scores, hits)
