"""The body of a page of memories."""

from __future__ import annotations

from native_routes.database import Connection, DatabaseError, StatementError
from native_routes.javascript import stringify
from native_routes.memories.queries import COUNTS, LIST, PAGE, Counts
from native_routes.query import as_object


def list_body(connection: Connection, limit: float, offset: float) -> bytes:
    """The reply's bytes, written by SQLite where it writes them as JavaScript does. Raises DatabaseError."""
    try:
        page = PAGE.one(connection, limit=limit, offset=offset)
    except StatementError:  # a value that SQLite's JSON cannot hold, or a limit that is none: then this fails too
        return _written_here(connection, limit, offset)
    assert page is not None
    return b"".join((b'{"memories":', _utf8(page.memories), b',"stats":', _stats(page), b"}"))


def _written_here(connection: Connection, limit: float, offset: float) -> bytes:
    memories = [as_object(memory) for memory in LIST.all(connection, limit=limit, offset=offset)]
    counts = COUNTS.one(connection)
    assert counts is not None
    return b"".join((b'{"memories":', stringify(memories).encode(), b',"stats":', _stats(counts), b"}"))


def _stats(counts: Counts) -> bytes:
    return stringify(
        {"total": counts.total, "withEmbeddings": counts.with_embeddings, "critical": counts.critical}
    ).encode()


def _utf8(json: bytes) -> bytes:
    """With U+FFFD for what is not UTF-8. Brackets and quotes are ASCII, so it matters not that they are in between."""
    try:
        json.decode()
    except UnicodeDecodeError:
        return json.decode("utf-8", "replace").encode()
    return json
