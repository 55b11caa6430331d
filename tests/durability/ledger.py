"""What clients have been told, and whether a database still has all of it, and nothing by halves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from native_routes.changing.content import hash_of
from native_routes.database import load_vector_search

VECTOR_BYTES = 4 * 768


@dataclass(frozen=True, slots=True)
class Entry:
    op: str  # remember, document, change
    status: int
    told: Any
    memory_id: str
    content: str

    def line(self) -> bytes:
        return json.dumps([self.op, self.status, self.told, self.memory_id, self.content]).encode() + b"\n"


@dataclass
class Ledger:
    """`refused` counts answers that nothing was written for reasons that no client gave: none is expected."""

    memories: dict[str, bool] = field(default_factory=dict)  # id -> told to have a vector
    versions: dict[str, int] = field(default_factory=dict)  # id -> the newest version told
    documents: dict[str, str] = field(default_factory=dict)  # id -> its job's
    groups: set[str] = field(default_factory=set)
    entries: int = 0
    refused: list[str] = field(default_factory=list)

    def add(self, line: bytes) -> None:
        """A line that the kill cut short has told nobody anything."""
        try:
            entry = Entry(*json.loads(line))
        except (ValueError, TypeError):
            return
        self.entries += 1
        told = entry.told
        if entry.status >= 500:
            self.refused.append(f"{entry.op}: {entry.status} {told}")
        elif entry.op == "document":
            self.documents[told["id"]] = told["jobId"]
        elif entry.op == "change" and entry.status == 200 and "newVersion" in told:
            self.versions[entry.memory_id] = max(told["newVersion"], self.versions.get(entry.memory_id, 1))
        elif entry.op == "remember" and "ids" in told:
            self.groups.add(told["group_id"])
            self.memories |= dict.fromkeys(told["ids"], False)
        elif entry.op == "remember" and "deduped" not in told:
            self.memories[told["id"]] = told["embedded"]

    def faults(self, database_path: Path) -> list[str]:
        """What was acknowledged and is not there, and what is there by halves. [] is what must come back."""
        connection = apsw.Connection(str(database_path))
        load_vector_search(connection)
        try:
            return [*self._lost(connection), *_half_written(connection)]
        finally:
            connection.close()

    def _lost(self, connection: apsw.Connection) -> Iterator[str]:
        versions = dict(connection.execute("SELECT id, version FROM memories"))
        yield from (f"memory {one} is lost" for one in self.memories if one not in versions)
        yield from (
            f"memory {one}: version {versions.get(one)}, told {told}"
            for one, told in self.versions.items()
            if versions.get(one, 0) < told
        )
        jobs = dict(connection.execute("SELECT document_id, id FROM memory_jobs WHERE document_id IS NOT NULL"))
        known = {row[0] for row in connection.execute("SELECT id FROM documents")}
        yield from (f"document {one} is lost" for one in self.documents if one not in known)
        yield from (f"job of document {one} is lost" for one, job in self.documents.items() if jobs.get(one) != job)
        entities = {row[0] for row in connection.execute("SELECT id FROM entities")}
        yield from (f"group {one} is lost" for one in self.groups if one not in entities)
        extracted = {row[0] for row in connection.execute("SELECT memory_id FROM memory_jobs")}
        yield from (f"job of memory {one} is lost" for one in self.memories if one not in extracted)
        embedded = {row[0] for row in connection.execute("SELECT source_id FROM embeddings")}
        changed = set(self.versions)
        yield from (
            f"vector of memory {one} is lost"
            for one, has_vector in self.memories.items()
            if has_vector and one not in embedded and one not in changed
        )


def _half_written(connection: apsw.Connection) -> Iterator[str]:
    if (found := connection.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
        yield f"integrity: {found[:3]}"
    try:
        connection.execute("INSERT INTO memories_fts(memories_fts, rank) VALUES('integrity-check', 1)")
    except apsw.Error as error:
        yield f"full-text index: {error}"
    for one, normalized, content_hash in connection.execute(
        "SELECT id, normalized_content, content_hash FROM memories"
    ):
        if hash_of(normalized) != content_hash:
            yield f"memory {one}: its hash is not its content's"
    # A change and its history are one transaction, a vector and its twin too.
    for (one,) in connection.execute(
        "SELECT m.id FROM memories m WHERE m.version - 1"
        " <> (SELECT count(*) FROM memory_history h WHERE h.memory_id = m.id)"
    ):
        yield f"memory {one}: its version is not its history's"
    for (one,) in connection.execute(
        "SELECT e.id FROM embeddings e LEFT JOIN vec_embeddings v ON v.id = e.id"
        " WHERE v.embedding IS NOT e.vector OR length(e.vector) <> ?",
        (VECTOR_BYTES,),
    ):
        yield f"embedding {one}: the indexed vector is another"
    for (one,) in connection.execute(
        "SELECT m.memory_id FROM memory_entity_mentions m LEFT JOIN memories ON memories.id = m.memory_id"
        " WHERE memories.id IS NULL"
    ):
        yield f"link to memory {one}, which is not there"
