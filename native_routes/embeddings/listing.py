"""A page of embeddings, and its reply. With vectors that reply can reach 80 MB, so each is written in one call to C."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, Final

from native_routes.database import Connection
from native_routes.embeddings import queries
from native_routes.javascript.primitives import number_text, stringify
from native_routes.stored_values import as_json
from native_routes.tags import parse_tags_field

FLOAT_BYTES: Final = 4
_EXPONENT: Final = re.compile(r"(?<=[\[,])-?[0-9.]++e[-+]?[0-9]+")  # looked for where a number begins
_UNKNOWN: Final = encode_basestring("unknown")
_MEMORY: Final = encode_basestring("memory")


class UnreadableEmbedding(Exception):
    """A stored value of which no reply can be made; the message is for the client."""


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[queries.Embedded]
    total: int
    limit: int
    offset: int
    vectors: bool

    @property
    def has_more(self) -> bool:
        return self.offset + len(self.rows) < self.total


def read_page(connection: Connection, limit: int, offset: int, vectors: bool) -> Page:
    counted = queries.TOTAL.one(connection)
    query = queries.PAGE_WITH_VECTORS if vectors else queries.PAGE
    return Page(query.all(connection, limit=limit, offset=offset), counted.n if counted else 0, limit, offset, vectors)


def page_body(page: Page) -> bytes:
    """The reply's bytes. Raises UnreadableEmbedding: then legacy answers none of the page."""
    items = b",".join([_item(row, page.vectors).encode() for row in page.rows])
    rest = {
        "count": len(page.rows),
        "total": page.total,
        "limit": page.limit,
        "offset": page.offset,
        "hasMore": page.has_more,
    }
    return b"".join((b'{"embeddings":[', items, b"],", stringify(rest)[1:].encode()))


def _item(row: queries.Embedded, vectors: bool) -> str:
    if row.tags is not None and not isinstance(row.tags, str):
        raise UnreadableEmbedding("the tags of a memory are stored as bytes: expected text")
    id_, content = _json(row.id), _json(row.content)
    who = _UNKNOWN if row.who is None else _json(row.who)
    importance = _json(row.importance) if isinstance(row.importance, int | float) else "0.5"
    source_type = _MEMORY if row.source_type is None else _json(row.source_type)
    source_id = id_ if row.source_id is None else _json(row.source_id)
    text = (
        f'{{"id":{id_},"content":{content},"text":{content},"who":{who},"importance":{importance},'
        f'"type":{_json(row.type)},"tags":{stringify(parse_tags_field(row.tags))},"sourceType":{source_type},'
        f'"sourceId":{source_id},"createdAt":{_json(row.created_at)}'
    )
    if not vectors or (not row.vector and row.vector != b""):  # JavaScript takes no bytes for something
        return text + "}"
    return f'{text},"vector":{floats_json(_floats(row.vector, row.dimensions))}}}'


def _json(stored: Any) -> str:
    """A column as JSON. Most are texts, and a text from SQLite has no lone surrogate."""
    return encode_basestring(stored) if isinstance(stored, str) else stringify(as_json(stored))


def _floats(stored: Any, dimensions: Any) -> tuple[float, ...]:
    """The numbers of a vector, the first `dimensions` of them where there are more."""
    if not isinstance(stored, bytes):
        raise UnreadableEmbedding("a vector is not stored as bytes")
    if len(stored) % FLOAT_BYTES:
        # What Bun says when it makes the array.
        raise UnreadableEmbedding("ArrayBuffer length minus the byteOffset is not a multiple of the element size")
    floats = struct.unpack(f"<{len(stored) // FLOAT_BYTES}f", stored)
    wanted = isinstance(dimensions, int | float) and 0 < dimensions <= len(floats)
    return floats[: int(dimensions)] if wanted else floats


def floats_json(floats: tuple[float, ...]) -> str:
    """`JSON.stringify` of numbers.

    Both languages write the shortest digits that name the same double; they differ in exponents, in the point of a
    whole number, and in what is no number.
    """
    text = json.dumps(floats, separators=(",", ":"))
    if "e" in text:
        text = _EXPONENT.sub(lambda found: number_text(float(found[0])), text)
    if "N" in text or "y" in text:
        text = text.replace("NaN", "null").replace("-Infinity", "null").replace("Infinity", "null")
    text = text.replace("-0.0,", "0,").replace("-0.0]", "0]")
    return text.replace(".0,", ",").replace(".0]", "]")
