"""Which memories mention which entity: all mentions in memory, as row numbers, in step with both processes' writes.

A query's entities are mentioned by a tenth of all memories and more; walking there through SQLite's indexes, for two
hundred rows of the answer, took nine tenths of a recall's time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import numpy as np

from native_routes.database import Connection, mapped
from native_routes.recall.grown_table import GrownTable
from native_routes.recall.queries import (
    DEAD_ROWS,
    LATE_MEMORIES,
    MENTIONS,
    MENTIONS_ADDED,
    NEWER_ROWS,
    RATIONALE_ROWS,
    TABLES_STATE,
)
from native_routes.searching.row_numbers import NO_ROWS, Rows, each_once, is_among, read_numbers

LINKED: Final = 200  # live memories that count as linked to a query's entities; the oldest rows come first
RATIONALES_SHOWN: Final = 10


class _Kind:
    """The first memories of one kind that mention an entity, as far as asked for."""

    def __init__(self, name: Callable[[Connection], Rows], most: int, choose: Callable[[Rows, Rows], Rows]) -> None:
        self._name = name  # the rows that tell the kind from others, as the connection sees them
        self._most = most
        self._choose = choose  # from an entity's rows, by those
        self._named: Rows = NO_ROWS
        self._stale = True
        self._kept: dict[str, Rows] = {}  # by entity

    def first(self, connection: Connection, rows: Mapping[str, Rows], entities: Iterable[str]) -> Rows:
        named = self.named(connection)
        found = []
        for entity in entities:
            if entity not in self._kept:
                self._kept[entity] = self._choose(rows.get(entity, NO_ROWS), named)[: self._most]
            found.append(self._kept[entity])
        return each_once(np.concatenate(found))[: self._most] if found else NO_ROWS

    def named(self, connection: Connection) -> Rows:
        if self._stale:
            named = self._name(connection)
            if not np.array_equal(named, self._named):
                self._named, self._kept = named, {}
            self._stale = False
        return self._named

    def look_again(self) -> None:
        """Another connection has committed something."""
        self._stale = True

    def forget(self, entity: str) -> None:
        self._kept.pop(entity, None)

    def forget_all(self) -> None:
        self._kept = {}


class KnownMentions:
    """For one connection only."""

    def __init__(self) -> None:
        self._rows: dict[str, Rows] = {}  # by entity; deleted memories too
        self._mentions, self._memories = GrownTable(), GrownTable()
        self._live = _Kind(_dead_rows, LINKED, _without)
        self._rationales = _Kind(self._live_rationales, RATIONALES_SHOWN, _among)
        self._version = -1

    def linked(self, connection: Connection, entities: Iterable[str]) -> Rows:
        """The first LINKED live memories that mention one of the entities."""
        self._follow(connection)
        return self._live.first(connection, self._rows, entities)

    def rationales(self, connection: Connection, entities: Iterable[str]) -> Rows:
        """The first RATIONALES_SHOWN live memories of type rationale that mention one of the entities."""
        self._follow(connection)
        return self._rationales.first(connection, self._rows, entities)

    def _live_rationales(self, connection: Connection) -> Rows:
        return _without(_numbers(RATIONALE_ROWS.all(connection)[0].text), self._live.named(connection))

    def _follow(self, connection: Connection) -> None:
        version = connection.pragma("data_version")  # every commit of another connection changes it
        if version == self._version:
            return
        self._live.look_again()
        self._rationales.look_again()
        with mapped(connection):
            count = MENTIONS.all(connection)[0].number
        state = TABLES_STATE.all(connection)[0]
        mentions = GrownTable(count, state.mention or 0, state.mention_text, state.schema)
        memories = GrownTable(state.memories, state.memory or 0, state.memory_id, state.schema)
        if not self._goes_on(connection, mentions, memories):
            self._rows, self._mentions = {}, GrownTable()
            self._live.forget_all()
            self._rationales.forget_all()
        if mentions.highest != self._mentions.highest:
            self._add(connection)
        self._mentions, self._memories, self._version = mentions, memories, version

    def _goes_on(self, connection: Connection, mentions: GrownTable, memories: GrownTable) -> bool:
        """Whether both tables have only grown, and no mention was there before its memory."""
        if (mentions, memories) == (self._mentions, self._memories):
            return True
        known, before = self._mentions, self._memories
        newer = NEWER_ROWS.all(connection, mention=known.highest, memory=before.highest)[0]
        if not mentions.goes_on_from(known, newer.mentions, newer.mention_text):
            return False  # legacy changes no column of a mention
        if not memories.goes_on_from(before, newer.memories, newer.memory_id):
            return False
        return not LATE_MEMORIES.all(connection, memory=before.highest, mention=known.highest)[0].number

    def _add(self, connection: Connection) -> None:
        for added in MENTIONS_ADDED.all(connection, rowid=self._mentions.highest):
            rows, known = _numbers(added.rows), self._rows.get(added.entity_id)
            self._rows[added.entity_id] = rows if known is None else each_once(np.concatenate([known, rows]))
            self._live.forget(added.entity_id)
            self._rationales.forget(added.entity_id)


def _dead_rows(connection: Connection) -> Rows:
    return _numbers(DEAD_ROWS.all(connection)[0].text)


def _without(rows: Rows, others: Rows) -> Rows:
    return rows[~is_among(rows, others)]


def _among(rows: Rows, others: Rows) -> Rows:
    return rows[is_among(rows, others)]


def _numbers(text: str | None) -> Rows:
    return each_once(read_numbers(text))
