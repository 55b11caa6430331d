"""`GET /memory/search`: keyword search in raw FTS5 syntax, or a list by filters. Deleted memories are found too."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from native_routes.database import Connection, Query, StatementError, translated
from native_routes.javascript.dates import iso_text
from native_routes.javascript.primitives import parse_float, parse_int, trim
from native_routes.javascript.values import SqlValue, bindable, bound_text
from native_routes.searching.filters import Filter, build_filter
from native_routes.searching.word_index import WordIndex
from native_routes.stored_values import as_json, as_object

DEFAULT_MATCHES: Final = 20
DEFAULT_LISTED: Final = 50
_COLUMNS: Final = "m.id, m.content, m.created_at, m.who, m.importance, m.tags, m.type, m.pinned"
_LARGEST_LIMIT: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Match:
    id: Any
    content: Any
    created_at: Any
    who: Any
    importance: Any
    tags: Any
    type: Any
    pinned: Any


@dataclass(frozen=True, slots=True)
class ScoredMatch:
    id: Any
    content: Any
    created_at: Any
    who: Any
    importance: Any
    tags: Any
    type: Any
    pinned: Any
    score: Any


@dataclass(frozen=True, slots=True)
class Who:
    who: Any


WHO: Final = Query("SELECT DISTINCT who FROM memories WHERE who IS NOT NULL ORDER BY who", row=Who)


MATCHES: Final = Query(
    "SELECT "  # noqa: S608  # constants only
    + _COLUMNS
    + " FROM json_each(:rowids) found CROSS JOIN memories m ON m.rowid = found.value",
    row=Match,
)


@lru_cache(maxsize=256)
def match_query(conditions: str) -> Query[ScoredMatch]:
    """Best match first; BM25 is negative."""
    return Query(
        "SELECT " + _COLUMNS + ", bm25(memories_fts) AS score"  # noqa: S608  # constants only
        " FROM memories_fts JOIN memories m ON m.rowid = memories_fts.rowid"
        " WHERE memories_fts MATCH :query" + conditions + " ORDER BY score LIMIT :limit",
        row=ScoredMatch,
    )


@lru_cache(maxsize=256)
def like_query(conditions: str) -> Query[Match]:
    """What contains the text itself, newest first."""
    return Query(
        "SELECT "  # noqa: S608  # constants only
        + _COLUMNS
        + " FROM memories m WHERE (m.content LIKE :pattern OR m.tags LIKE :pattern)"
        + conditions
        + " ORDER BY m.created_at DESC LIMIT :limit",
        row=Match,
    )


@lru_cache(maxsize=256)
def list_query(conditions: str) -> Query[ScoredMatch]:
    """Pinned first, then by importance, which fades by 5 % per whole day to a tenth at least."""
    return Query(
        "SELECT " + _COLUMNS + ", CASE WHEN m.pinned = 1 THEN 1.0 ELSE m.importance * MAX(0.1, POWER("  # noqa: S608  # constants only
        "0.95, CAST(JULIANDAY(:now) - JULIANDAY(m.created_at) AS INTEGER))) END AS score"
        " FROM memories m WHERE 1 = 1" + conditions + " ORDER BY score DESC LIMIT :limit",
        row=ScoredMatch,
    )


@dataclass(frozen=True, slots=True)
class KeywordSearch:
    """`limit` None when the request names none; NaN and numbers beyond SQLite's range fail the search."""

    query: str
    limit: float | None
    filter: Filter
    filters: bool  # whether any filter was asked for, usable or not

    @classmethod
    def of(cls, parameter: Callable[[str], str | None]) -> KeywordSearch:
        limit, importance = parameter("limit"), parameter("importance_min")
        pinned = parameter("pinned") in ("1", "true")
        given = {name: parameter(name) or "" for name in ("type", "tags", "who", "since")}
        return cls(
            query=parameter("q") or "",
            limit=parse_int(limit) if limit else None,
            filter=build_filter(
                type_=given["type"],
                tags=given["tags"],
                who=given["who"],
                pinned=pinned,
                importance_min=parse_float(importance) if importance else None,
                since=given["since"],
            ),
            filters=any(given.values()) or pinned or bool(importance),
        )


def list_who(connection: Connection) -> list[Any]:
    """Everyone who is named as source, in the database's order."""
    return [as_json(row.who) for row in WHO.all(connection)]


def search_keywords(
    connection: Connection, wanted: KeywordSearch, now_ms: int, words: WordIndex
) -> list[dict[str, Any]]:
    """Result objects. Raises StatementError where legacy answers that the search failed."""
    values = wanted.filter.bound()
    if trim(wanted.query):
        limit = _limit(wanted.limit, DEFAULT_MATCHES)
        try:
            with translated():
                return _matches(connection, words, bound_text(wanted.query), limit, wanted.filter)
        except StatementError:
            # Not FTS5 syntax: look for the text itself.
            pattern = f"%{wanted.query}%"
            alike = like_query(wanted.filter.sql).all(connection, pattern=pattern, limit=limit, **values)
            return [as_object(row) for row in alike]
    if not wanted.filters:
        return []
    limit, now = _limit(wanted.limit, DEFAULT_LISTED), iso_text(now_ms)
    listed = list_query(wanted.filter.sql).all(connection, now=now, limit=limit, **values)
    return [as_object(row) for row in listed]


def _matches(
    connection: Connection, words: WordIndex, query: str, limit: SqlValue, conditions: Filter
) -> list[dict[str, Any]]:
    if not conditions.sql:
        # The cut needs no memory: a common word would otherwise read thousands of them.
        best = words.best(connection, match=query, limit=limit)
        found = MATCHES.all(connection, rowids=json.dumps([row.rowid for row in best]))
        if len(found) == len(best):
            return [as_object(row) | {"score": hit.bm25} for row, hit in zip(found, best, strict=True)]
        # The full-text index knows rows that are gone: they must not count for the limit.
    rows = match_query(conditions.sql).all(connection, query=query, limit=limit, **conditions.bound())
    return [as_object(row) for row in rows]


def _limit(given: float | None, default: int) -> SqlValue:
    """Legacy writes the number into the statement: what is no whole number of 64 bits is a syntax error there."""
    if given is None:
        return default
    if math.isnan(given) or abs(given) > _LARGEST_LIMIT:
        raise StatementError(f"LIMIT {given} is no number that SQLite takes")
    return bindable(given)
