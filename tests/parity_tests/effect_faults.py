"""Faults in what a request leaves behind: rows, full-text index, vectors, files, calls, and when they come."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.parity_tests.faulty_front import Exchange, Fault

LATE_S = 0.25  # after the answer, and after the database was looked at

_LAST = "(SELECT id FROM memories ORDER BY rowid DESC LIMIT 1)"


def _sql(statement: str) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.sql(statement.replace("$LAST", _LAST))


def on_remember(name: str, statement: str) -> Fault:
    return Fault(name, "memory", "POST", "/api/memory/remember", _sql(statement))


def on_forget(name: str, statement: str) -> Fault:
    return Fault(name, "memory", "DELETE", "/api/memory/", _sql(statement))


def _commit_late(exchange: Exchange) -> None:
    threading.Timer(LATE_S, _try, (exchange, "UPDATE memories SET why = 'late' WHERE pinned = 1")).start()


def _try(exchange: Exchange, statement: str) -> None:
    exchange.sql(statement)


def _write_file(name: str, text: str) -> Callable[[Exchange], None]:
    def spoil(exchange: Exchange) -> None:
        (exchange.home / name).write_text(text)

    return spoil


def _remove_file(exchange: Exchange) -> None:
    (exchange.home / "USER.md").unlink()


EFFECT_FAULTS = (
    on_remember("an extra row", "INSERT INTO entities (id, name, entity_type, created_at, updated_at) "
                "VALUES ('x', 'x', 'x', '2025', '2025')"),
    on_remember("a column of the new row differs", "UPDATE memories SET why = 'other' WHERE id = $LAST"),
    on_remember("NULL instead of a value", "UPDATE memories SET source_type = NULL WHERE id = $LAST"),
    on_remember("a number stored as text", "UPDATE memories SET version = 'one' WHERE id = $LAST"),
    on_remember("another row is touched", "UPDATE memories SET access_count = 99 WHERE pinned = 1"),
    on_remember("another row is deleted", "DELETE FROM memory_jobs"),
    on_remember("a row's time is SQLite's", "UPDATE memories SET updated_at = datetime('now') WHERE id = $LAST"),
    on_remember("the new row's hash is of other text", "UPDATE memories SET content_hash = 'f00' WHERE id = $LAST"),
    on_remember("the embedding is missing", "DELETE FROM embeddings WHERE source_id = $LAST"),
    on_remember("the vector is missing from the index", "DELETE FROM vec_embeddings WHERE id = "
                "(SELECT id FROM embeddings WHERE source_id = $LAST)"),
    on_remember("the vector has other bytes", "UPDATE vec_embeddings SET embedding = zeroblob(3072) WHERE id = "
                "(SELECT id FROM embeddings WHERE source_id = $LAST)"),
    on_remember("the text is not indexed", "INSERT INTO memories_fts (memories_fts, rowid, content) "
                "SELECT 'delete', rowid, content FROM memories WHERE id = $LAST"),
    on_remember("the index holds other words", "INSERT INTO memories_fts (rowid, content) VALUES (9999, 'stray')"),
    on_remember("a table that nobody classed", "CREATE TABLE surprise (id)"),
    on_remember("an index is dropped", "DROP INDEX idx_memories_type"),
    on_forget("the history row is missing", "DELETE FROM memory_history WHERE memory_id = $LAST"),
    on_forget("the history has a row too many", "INSERT INTO memory_history "
              "(id, memory_id, event, changed_by, created_at) VALUES ('h', 'm', 'deleted', 'x', '2025')"),
    on_forget("a change leaves the row's time alone", "UPDATE memories SET updated_at = created_at WHERE id = $LAST"),
    on_forget("the database is given a version of its own", "PRAGMA user_version = 7"),
    on_forget("the row is gone, not marked", "DELETE FROM memories WHERE id = $LAST"),
    Fault("a GET writes", "memory", "GET", "/api/memories",
          _sql("UPDATE memories SET access_count = 77 WHERE pinned = 1")),
    Fault("the access count is not raised", "memory", "POST", "/api/memory/recall",
          _sql("UPDATE memories SET access_count = 0 WHERE last_accessed > datetime('now', '-9 seconds')")),
    Fault("a late commit", "memory", "POST", "/api/memory/recall", _commit_late),
    Fault("an extra file", "memory", "POST", "/api/config", _write_file("extra.md", "x")),
    Fault("a file with other bytes", "memory", "POST", "/api/config", _write_file("note.md", "hello")),
    Fault("a file is gone", "memory", "POST", "/api/config", _remove_file),
)  # fmt: skip
