"""A database file at schema 30, filled by the test as any program might."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import apsw

from native_routes.database import load_vector_search

SCHEMA_PATH = Path(__file__).parents[2] / "parity_tests" / "harness" / "homes" / "schema_30.sql"
MEMORY = {"content": "text", "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z"}
EVENT = {"event": "updated", "changed_by": "someone", "created_at": "2026-01-01T00:00:00.000Z"}
JOB = {"job_type": "extract", "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z"}


class NotUtf8(bytes):
    """Stored as TEXT, whatever bytes it is."""


class HomeDatabase:
    """A connection of its own, beside those under test; each call commits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = apsw.Connection(str(path))
        self.connection.set_busy_timeout(5_000)
        load_vector_search(self.connection)
        self.become(_empty())
        self.connection.pragma("journal_mode", "wal")
        self.events = 0

    def execute(self, statement: str, values: Any = ()) -> list[Any]:
        return self.connection.execute(statement, values).fetchall()

    def memory(self, id: Any, **columns: Any) -> None:
        self.row("memories", {"id": id, **MEMORY, **columns})

    def event(self, memory_id: Any, **columns: Any) -> None:
        self.events += 1
        self.row("memory_history", {"id": f"event-{self.events}", "memory_id": memory_id, **EVENT, **columns})

    def job(self, id: Any, **columns: Any) -> None:
        self.row("memory_jobs", {"id": id, "memory_id": None, **JOB, **columns})

    def row(self, table: str, columns: dict[str, Any]) -> None:
        marks = ", ".join("CAST(? AS TEXT)" if isinstance(value, NotUtf8) else "?" for value in columns.values())
        names = ", ".join(columns)
        self.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))  # noqa: S608

    def copy(self) -> apsw.Connection:
        """What is there now, in memory."""
        other = apsw.Connection(":memory:")
        _copy(self.connection, other)
        return other

    def become(self, other: apsw.Connection) -> None:
        """Copy another database into this one, as `.restore` of sqlite3 does, whoever has it open."""
        _copy(other, self.connection)

    def close(self) -> None:
        self.connection.close()


def _copy(source: apsw.Connection, target: apsw.Connection) -> None:
    with target.backup("main", source, "main") as backup:
        backup.step(-1)


@cache
def _empty() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    load_vector_search(connection)
    connection.execute(SCHEMA_PATH.read_text())
    return connection
