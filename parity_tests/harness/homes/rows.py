"""Writes seeded rows: ids and vectors follow from names, times are fixed dates or ages counted from the base."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from parity_tests.harness.names import iso_time, sql_time
from parity_tests.harness.seeded_id import uid
from parity_tests.harness.sqlite import Connection
from parity_tests.harness.vectors import blob, text_vector

FIXED: Final = "2025-01-15T12:00:00.000Z"
_UNIT_S: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TRAILING = re.compile(r"[.,!?;:]+\Z")


class Rows:
    """One home's database while it is being filled."""

    def __init__(self, connection: Connection, base_s: int) -> None:
        self._connection, self._base_s = connection, base_s
        self.stamps: dict[str, str] = {}

    def ago(self, age: str, *, sql: bool = False) -> str:
        """That long before the base ("2d", "-1h" = after it), remembered so that a report can name it."""
        seconds = int(age[:-1]) * _UNIT_S[age[-1]]
        at = self._base_s - seconds
        text = sql_time(at) if sql else iso_time(at)
        self.stamps[text] = f"home-{age}"
        return text

    def insert(self, table: str, **columns: Any) -> None:
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))  # noqa: S608  (names come from code)

    def memory(self, name: str, content: str, /, **columns: Any) -> str:
        """A memory as remember stores it, with the given columns instead; returns its id."""
        storage = " ".join(content.split())
        normalized = _TRAILING.sub("", storage.lower()).strip()
        values: dict[str, Any] = {
            "id": uid("memory", name),
            "type": "fact",
            "content": storage,
            "importance": 0.8,
            "who": "daemon",
            "created_at": FIXED,
            "source_type": "manual",
            "content_hash": hashlib.sha256((normalized or storage.lower()).encode("utf-8", "replace")).hexdigest(),
            "normalized_content": normalized,
        } | columns
        values.setdefault("updated_at", values["created_at"])
        values.setdefault("updated_by", values["who"] or "daemon")
        self.insert("memories", **values)
        return str(values["id"])

    def embedding(self, memory_id: str, text: str, /, *, indexed: bool = True, **columns: Any) -> str:
        """The memory's vector in `embeddings` and, when indexed, in `vec_embeddings`; returns the embedding's id."""
        vector = blob(text_vector(text))
        values: dict[str, Any] = {
            "id": uid("embedding", memory_id, text),
            "content_hash": hashlib.sha256(text.lower().encode()).hexdigest(),
            "vector": vector,
            "dimensions": 768,
            "source_type": "memory",
            "source_id": memory_id,
            "chunk_text": text,
            "created_at": FIXED,
        } | columns
        self.insert("embeddings", **values)
        if indexed:
            self.insert("vec_embeddings", id=values["id"], embedding=values["vector"])
        return str(values["id"])

    def history(self, memory_id: str, number: int, event: str, **columns: Any) -> None:
        values = {"changed_by": "daemon", "created_at": f"2025-02-{number:02d}T08:00:00.000Z"} | columns
        self.insert("memory_history", id=uid("history", memory_id, number), memory_id=memory_id, event=event, **values)

    def job(self, name: str, memory_id: str | None, status: str, **columns: Any) -> None:
        values = {"job_type": "extract", "created_at": FIXED, "updated_at": FIXED} | columns
        self.insert("memory_jobs", id=uid("job", name), memory_id=memory_id, status=status, **values)

    def entity(self, name: str, kind: str = "concept", **columns: Any) -> str:
        entity_id = uid("entity", name)
        values = {"canonical_name": name.lower(), "created_at": FIXED, "updated_at": FIXED, "mentions": 1} | columns
        self.insert("entities", id=entity_id, name=name, entity_type=kind, **values)
        return entity_id

    def mention(self, memory_id: str, entity_id: str, text: str | None = None) -> None:
        self.insert(
            "memory_entity_mentions",
            memory_id=memory_id,
            entity_id=entity_id,
            mention_text=text,
            confidence=0.9,
            created_at=FIXED,
        )
