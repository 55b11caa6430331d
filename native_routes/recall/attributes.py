"""Memories behind entities: the answers that SQLite gave, kept while nobody else commits. For one connection only.

Questions overlap more than queries do: every walk begins at the same pinned entities, and most memories behind an
entity are behind others too. entity_attributes has no index by memory; the row numbers by memory are kept in its place,
for as long as the table only grows. Legacy changes an attribute's aspect, kind and status, and never its memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from native_routes.database import Connection
from native_routes.javascript.values import SqlValue
from native_routes.recall.grown_table import GrownTable
from native_routes.recall.queries import (
    ATTRIBUTES_ADDED,
    ATTRIBUTES_STATE,
    BEHIND_ENTITIES,
    BEST_ATTRIBUTES,
    LIVE,
    texts,
)
from native_routes.searching.hybrid_ranking import unique

MOST_KEPT: Final = 50_000  # memory ids, of each kind; beyond it everything is asked again
_Behind = tuple[str, str, SqlValue, SqlValue]  # entity, agent, most aspects, most attributes


class KnownAttributes:
    """What is behind entities, and what that is worth."""

    def __init__(self) -> None:
        self._memories: dict[_Behind, list[str]] = {}
        self._importance: dict[tuple[str, str], tuple[Any] | None] = {}  # by agent and memory; None: not live
        self._kept = 0
        self._version = -1
        self._rows: dict[str, list[str]] = {}  # of entity_attributes, by memory; texts of numbers between commas
        self._table = GrownTable()
        self._rows_version = -1

    def memories(
        self, connection: Connection, entities: Sequence[str], agent: str, aspects: SqlValue, attributes: SqlValue
    ) -> list[str]:
        """Ids behind the entities' heaviest aspects, each once, in no order. Raises StatementError."""
        self._follow(connection)
        keys = {entity: (entity, agent, aspects, attributes) for entity in entities}
        new = [entity for entity, key in keys.items() if key not in self._memories]
        if new:
            rows = BEHIND_ENTITIES.all(
                connection, entities=texts(new), agent=agent, aspects=aspects, attributes=attributes
            )
            self._memories.update((keys[entity], []) for entity in new)
            for row in rows:
                self._memories[keys[row.entity_id]].append(row.memory_id)
            self._kept += len(rows) + len(new)
        return unique(memory for key in keys.values() for memory in self._memories[key])

    def importance(self, connection: Connection, memories: Iterable[object], agent: str) -> list[tuple[str, Any]]:
        """Those of the memories that are live, by id, with the importance of their best active attribute."""
        self._follow(connection)
        ordered = sorted(memory for memory in memories if isinstance(memory, str))
        new = [memory for memory in ordered if (agent, memory) not in self._importance]
        if new:
            self._follow_rows(connection)
            places = ",".join(text for memory in new for text in self._rows.get(memory, ()))
            best = {row.id: row for row in BEST_ATTRIBUTES.all(connection, rows=f"[{places}]", agent=agent)}
            self._importance.update(((agent, memory), None) for memory in new)
            self._importance.update(
                ((agent, row.id), (best.get(row.id, row).importance,)) for row in LIVE.all(connection, ids=texts(new))
            )
            self._kept += len(new)
        found = ((memory, self._importance[agent, memory]) for memory in ordered)
        return [(memory, known[0]) for memory, known in found if known is not None]

    def _follow(self, connection: Connection) -> None:
        version = connection.pragma("data_version")  # every commit of another connection changes it
        if version != self._version or self._kept > MOST_KEPT:
            self._memories, self._importance, self._kept = {}, {}, 0
            self._version = version

    def _follow_rows(self, connection: Connection) -> None:
        if self._rows_version == self._version:
            return
        known = self._table
        state = ATTRIBUTES_STATE.all(connection, rowid=known.highest)[0]
        table = GrownTable(state.number, state.highest or 0, state.newest, state.schema)
        if not table.goes_on_from(known, state.newer, state.known):
            self._rows, known = {}, GrownTable()
        for added in ATTRIBUTES_ADDED.all(connection, rowid=known.highest) if table != known else ():
            self._rows.setdefault(added.memory_id, []).append(added.rows)
        self._table, self._rows_version = table, self._version
