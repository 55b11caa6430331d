"""A home whose memories are changed by native handlers: database, configuration, embedder; all of them real."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw.ext

from native_routes.daemon_log import DaemonLog
from native_routes.declaration import Claims
from native_routes.memory_config import MemoryConfig, MemoryConfigFile
from native_routes.query import Command, Query
from native_routes.reader import Reader
from native_routes.searching.embedders import Embedder
from native_routes.writer import Writer
from tests.native_routes.asking import StoppedClock, ask, value
from tests.native_routes.home_database import HomeDatabase

if TYPE_CHECKING:
    from native_routes.reply import Reply

NO_EMBEDDER = "embedding:\n  provider: none\n"
NOW = "2026-11-21T04:06:40.000Z"  # StoppedClock's


def ollama(url: str) -> str:
    return f"embedding:\n  provider: ollama\n  model: loopback\n  dimensions: 768\n  base_url: {url}\n"


@dataclass
class ChangingHome:
    """Also the context of requests. `database` is a connection beside those under test."""

    path: Path
    database: HomeDatabase
    reader: Reader
    writer: Writer
    embedder: Embedder
    daemon_log: DaemonLog
    clock: StoppedClock

    @property
    def config(self) -> Callable[[], Awaitable[MemoryConfig]]:
        return MemoryConfigFile(self.path).read

    def configure(self, text: str) -> None:
        (self.path / "agent.yaml").write_text(text)

    def freeze(self) -> None:
        self.configure(NO_EMBEDDER + "memory:\n  pipelineV2:\n    mutationsFrozen: true\n")

    async def ask(self, method: str, target: str | bytes, json_body: Any = None, **how: Any) -> Reply:
        return await ask(self, method, target, json_body=json_body, **how)

    async def told(self, method: str, target: str | bytes, json_body: Any = None, **how: Any) -> tuple[int, Any]:
        """Status and JSON of the reply."""
        reply = await self.ask(method, target, json_body, **how)
        return reply.status, value(reply)

    def embedding(self, id: str, content_hash: str, source_id: str, vector: bytes = b"") -> None:
        """A vector of a memory; one of four bytes and more is indexed too."""
        self.database.row(
            "embeddings",
            {
                "id": id,
                "content_hash": content_hash,
                "vector": vector,
                "dimensions": len(vector) // 4,
                "source_type": "memory",
                "source_id": source_id,
                "chunk_text": "",
                "created_at": "",
            },
        )
        if vector:
            self.database.row("vec_embeddings", {"id": id, "embedding": vector})

    def memory(self, memory_id: str, columns: str = "content, version") -> tuple[Any, ...]:
        found = self.database.execute(f"SELECT {columns} FROM memories WHERE id = ?", (memory_id,))  # noqa: S608
        assert len(found) == 1
        row: tuple[Any, ...] = found[0]
        return row

    def history(self, columns: str = "memory_id, event, old_content, new_content") -> list[Any]:
        return self.database.execute(f"SELECT {columns} FROM memory_history ORDER BY rowid")  # noqa: S608

    def matches(self, words: str) -> list[str]:
        """Ids of memories with these words, by the full-text index."""
        return [
            row[0]
            for row in self.database.execute(
                "SELECT m.id FROM memories_fts JOIN memories m ON m.rowid = memories_fts.rowid"
                " WHERE memories_fts MATCH ? ORDER BY m.id",
                (words,),
            )
        ]

    def state(self) -> list[Any]:
        """All rows that a mutation may change."""
        tables = ("memories", "memory_history", "embeddings", "umap_cache", "session_memories")
        return [self.database.execute(f"SELECT * FROM {table} ORDER BY rowid") for table in tables]  # noqa: S608

    def check_full_text(self) -> None:
        """Raises when the full-text index is not that of the rows."""
        self.database.execute("INSERT INTO memories_fts(memories_fts, rank) VALUES('integrity-check', 1)")


@asynccontextmanager
async def changing_home(path: Path, config: str = NO_EMBEDDER) -> AsyncIterator[ChangingHome]:
    database = HomeDatabase(path / "memories.db")
    clock = StoppedClock()
    reader, writer, daemon_log = Reader(database.path, threads=2), Writer(database.path), DaemonLog(path, clock)
    home = ChangingHome(path, database, reader, writer, Embedder(), daemon_log, clock)
    home.configure(config)
    try:
        yield home
    finally:
        await home.writer.close()
        await home.reader.close()
        await home.embedder.close()
        await home.daemon_log.close()
        database.close()


def claims(**changed: Any) -> Claims:
    given: dict[str, Any] = {"sub": "ann", "scope": {}, "role": "agent", "iat": 0, "exp": 0, "raw": {}}
    return Claims(**(given | changed))


def touched_tables(database: HomeDatabase, *places: Any) -> tuple[frozenset[str], frozenset[str]]:
    """Tables that the queries of modules read, and those that their commands write, triggers included.

    Places are modules, or statements themselves. Tables behind virtual ones are not named.
    """
    read: set[str] = set()
    written: set[str] = set()
    for place in places:
        for statement in [place] if isinstance(place, Query | Command) else vars(place).values():
            if not isinstance(statement, Query | Command):
                continue
            assert "'now'" not in statement.sql
            info = apsw.ext.query_info(database.connection, statement.sql, actions=True)
            for action in info.actions or ():
                if action.action_name == "SQLITE_READ" and isinstance(statement, Query):
                    read.add(str(action.table_name))
                elif action.action_name in ("SQLITE_INSERT", "SQLITE_UPDATE", "SQLITE_DELETE"):
                    written.add(str(action.table_name))
    return frozenset(read), frozenset(written)
