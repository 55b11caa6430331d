"""The body of a page of memories."""

from __future__ import annotations

import threading
from typing import Final

from native_routes.database import Connection, StatementError, translated
from native_routes.javascript.json_bytes import stringify_utf8
from native_routes.memories.queries import COUNTS, EMBEDDINGS, LIST, PAGE
from native_routes.stored_values import as_object

_kept: Final = threading.local()  # a read connection has a thread of its own


def page_body(connection: Connection, limit: float, offset: float) -> bytes:
    """The reply's bytes with the memories written by SQLite.

    Raises StatementError when they hold a value that SQLite does not write as JavaScript does: then rows_body must.
    """
    page = PAGE.one(connection, limit=limit, offset=offset)
    assert page is not None
    return _body(connection, _utf8(page.memories))


def rows_body(connection: Connection, limit: float, offset: float) -> bytes:
    """The same bytes for any stored values. Raises StatementError for a limit or offset that is no number."""
    memories = [as_object(memory) for memory in LIST.all(connection, limit=limit, offset=offset)]
    return _body(connection, stringify_utf8(memories))


def _body(connection: Connection, memories: bytes) -> bytes:
    return b"".join((b'{"memories":', memories, b',"stats":', stringify_utf8(_stats(connection)), b"}"))


def _stats(connection: Connection) -> dict[str, int]:
    """Counting takes as long as the home is large, so it is done once for each state that a connection sees."""
    state = connection.pragma("data_version")  # other connections' commits change it; this one only reads
    kept: tuple[Connection, object, dict[str, int]] | None = getattr(_kept, "stats", None)
    if kept is not None and kept[0] is connection and kept[1] == state:
        return kept[2]
    counts = COUNTS.one(connection)
    assert counts is not None
    stats = {"total": counts.total, "withEmbeddings": _embeddings(connection), "critical": counts.critical}
    _kept.stats = (connection, state, stats)
    return stats


def _embeddings(connection: Connection) -> int:
    """0 where there is no table of them."""
    try:
        with translated():
            found = EMBEDDINGS.one(connection)
    except StatementError:
        return 0
    return found.count if found is not None else 0


def _utf8(json: bytes) -> bytes:
    """With U+FFFD for what is not UTF-8. Brackets and quotes are ASCII, so it matters not that they are in between."""
    try:
        json.decode()
    except UnicodeDecodeError:
        return json.decode("utf-8", "replace").encode()
    return json
