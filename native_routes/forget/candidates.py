"""Which memories a batch forget would take, and the token that proves they have been looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from native_routes.database import Connection, StatementError, translated
from native_routes.forget import queries
from native_routes.javascript.coercion import optional_positive_integer, optional_text
from native_routes.javascript.primitives import trim
from native_routes.javascript.values import bindable
from native_routes.reply import Refusal
from native_routes.stored_values import bytes_text
from native_routes.tags import split_tags

DEFAULT_LIMIT: Final = 20
MOST: Final = 200
MOST_TAGS: Final = 998  # SQLite takes no deeper expression, with one level for each of them
TEXTS: Final = ("query", "type", "tags", "who", "source_type", "since", "until")
NOTHING_NAMED: Final = "query, ids, or at least one filter (type/tags/who/source_type/since/until) is required"
# In legacy's order: it can decide which index SQLite takes, and with it the order of equal ranks.
BEFORE_TAGS: Final = {"type": " AND m.type = :type"}
AFTER_TAGS: Final = {
    "who": " AND m.who = :who",
    "source_type": " AND m.source_type = :source_type",
    "since": " AND m.created_at >= :since",
    "until": " AND m.created_at <= :until",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a batch asks for: its `ids`, else all that `texts` find, by name from TEXTS."""

    ids: tuple[str, ...]
    texts: Mapping[str, str]
    limit: int


@dataclass(frozen=True, slots=True)
class Candidate:
    id: Any
    pinned: Any
    version: Any
    score: float = 0.0  # of a full-text match: above 0, at most 1, the best match lowest


def read_wanted(payload: Mapping[str, Any]) -> Wanted:
    """Texts that are none do not filter. Refuses with 400 what is malformed, and a request for everything."""
    limit = optional_positive_integer(payload.get("limit"))
    if "limit" in payload and limit is None:
        raise Refusal(400, "limit must be a positive integer")
    ids = _ids(payload["ids"]) if "ids" in payload else ()
    texts = {name: text for name in TEXTS if (text := optional_text(payload.get(name)))}
    if not ids and not texts:
        raise Refusal(400, NOTHING_NAMED)
    return Wanted(ids, texts, min(limit or DEFAULT_LIMIT, MOST))


def _ids(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Refusal(400, "ids must be an array of strings")
    if not all(isinstance(item, str) and trim(item) for item in value):
        raise Refusal(400, "ids must contain non-empty strings")
    return tuple(trim(item) for item in value)


def find_candidates(connection: Connection, wanted: Wanted) -> list[Candidate]:
    """Memories that are not forgotten, at most `limit`; of ids, those of the first `limit` that exist, in their order.

    Raises StatementError for a text that is too long for SQLite's LIKE, and for too many tags.
    """
    if wanted.ids:
        return _by_id(connection, tuple(dict.fromkeys(wanted.ids))[: wanted.limit])
    conditions, values = _conditions(wanted.texts)
    query = wanted.texts.get("query")
    if query is None:
        return _found(queries.filter_query(conditions).all(connection, limit=wanted.limit, **values))
    try:
        with translated():
            matches = queries.match_query(conditions).all(
                connection, query=bindable(query), limit=wanted.limit, **values
            )
        return [Candidate(row.id, row.pinned, row.version, 1 / (1 + abs(row.rank or 0))) for row in matches]
    except StatementError:
        # Not FTS5 syntax: look for the text itself.
        pattern = bindable(f"%{query}%")
        return _found(queries.like_query(conditions).all(connection, pattern=pattern, limit=wanted.limit, **values))


def confirm_token(candidates: list[Candidate]) -> str:
    """The same for the same memories, in whatever order they were found; 32 hexadecimal digits."""
    ids = sorted({_sorted_as(candidate.id): _joined_as(candidate.id) for candidate in candidates}.items())
    return hashlib.sha256("|".join(text for _, text in ids).encode()).hexdigest()[:32]


def _by_id(connection: Connection, ids: tuple[str, ...]) -> list[Candidate]:
    rows = [queries.ACTIVE_MEMORY.one(connection, id=bindable(memory_id)) for memory_id in ids]
    # Two ids that differ can be one in the database, which has no lone surrogates; legacy finds neither.
    return _found([row for row, memory_id in zip(rows, ids, strict=True) if row is not None and row.id == memory_id])


def _found(rows: list[queries.Found]) -> list[Candidate]:
    return [Candidate(row.id, row.pinned, row.version) for row in rows]


def _conditions(texts: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    tags = {f"tag{number}": f"%{tag}%" for number, tag in enumerate(split_tags(texts.get("tags", "")))}
    if len(tags) > MOST_TAGS:
        raise StatementError(f"{len(tags)} tags are more than one statement takes")
    parts = [sql for name, sql in BEFORE_TAGS.items() if name in texts]
    parts += [f" AND m.tags LIKE :{name}" for name in tags]
    parts += [sql for name, sql in AFTER_TAGS.items() if name in texts]
    plain = {name: texts[name] for name in (*BEFORE_TAGS, *AFTER_TAGS) if name in texts}
    return "".join(parts), {name: bindable(text) for name, text in (plain | tags).items()}


def _sorted_as(stored: Any) -> bytes:
    """UTF-16 units, by which JavaScript sorts."""
    return ("null" if stored is None else _joined_as(stored)).encode("utf-16-be")


def _joined_as(stored: Any) -> str:
    if stored is None:
        return ""
    return bytes_text(stored) if isinstance(stored, bytes) else str(stored)
