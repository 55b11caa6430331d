"""Where words occur in the full-text index, and how many words each row has: read once, and then kept up to date."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from native_routes.database import Connection, Query
from native_routes.searching.row_numbers import Rows, changed, read_numbers
from native_routes.searching.word_segments import (
    SETTINGS,
    Entries,
    read_entries,
    read_structure,
    segments_since,
    varint,
)

LIST_ENTRIES: Final = 32  # what a list takes besides its rows: also a word that nowhere occurs
MOST_STEPS: Final = 256  # changes that a list may be behind; one that nobody asked for meanwhile is forgotten

EXPECTED: Final = "createvirtualtablememories_ftsusingfts5(content,content='memories',content_rowid='rowid')"

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class IndexState:
    structure: bytes | None  # segments of the index, and a count that every change raises
    totals: bytes | None  # how many rows and words
    definition: str | None
    settings: str | None
    schema: int
    repair: int | None

    @property
    def is_usual(self) -> bool:
        return bool(self.totals) and "".join((self.definition or "").lower().split()) == EXPECTED

    def may_follow(self, other: IndexState) -> bool:
        """Whether both can be of one index that was only written to meanwhile."""
        same = (self.schema, self.repair, self.settings) == (other.schema, other.repair, SETTINGS)
        return same and self.is_usual and other.is_usual


@dataclass(frozen=True, slots=True)
class Occurrences:
    rows: str | None  # row numbers, between commas, as often as the word occurs


@dataclass(frozen=True, slots=True)
class Lengths:
    rows: str | None
    lengths: str | None  # FTS5's variable-length integers, as hexadecimal digits


# Source: SQLite's fts5_index.c: record 1 holds the averages, record 10 the structure. The count of changes in it begins
# anew with an older database that was copied into this one, which raises the schema's version, and with an index that
# was built anew, as legacy's repair does, which then notes it: the same structure may stand for other words.
INDEX_STATE: Final = Query(
    """
    SELECT (SELECT block FROM memories_fts_data WHERE id = 10) AS structure,
      (SELECT block FROM memories_fts_data WHERE id = 1) AS totals,
      (SELECT sql FROM sqlite_schema WHERE name = 'memories_fts') AS definition,
      (SELECT group_concat(k || '=' || v) FROM memories_fts_config) AS settings,
      (SELECT schema_version FROM pragma_schema_version) AS schema,
      (SELECT max(rowid) FROM memory_history WHERE memory_id = 'system') AS repair
    """,
    row=IndexState,
)
WORD: Final = Query("SELECT group_concat(doc) AS rows FROM temp.memory_words WHERE term = :word", row=Occurrences)
WORDS_FROM: Final = Query(
    "SELECT group_concat(doc) AS rows FROM temp.memory_words WHERE term >= :word AND term <= :word || char(1114111)",
    row=Occurrences,
)
LENGTHS: Final = Query(
    """
    SELECT group_concat(id) AS rows, group_concat(hex(sz)) AS lengths
    FROM (SELECT id, sz FROM memories_fts_docsize ORDER BY id)
    """,
    row=Lengths,
)
LENGTHS_OF: Final = Query(
    """
    SELECT group_concat(id) AS rows, group_concat(hex(sz)) AS lengths
    FROM memories_fts_docsize WHERE id IN (SELECT value FROM json_each(:rows))
    """,
    row=Lengths,
)


@dataclass(frozen=True, slots=True)
class WordList:
    """Where a word occurs: rows ascending, and how often in each."""

    rows: Rows
    counts: Numbers
    step: int = 0  # how many of the changes are in it


class WordLists:
    """What was read of one state of the index, and followed since. Its methods are asked in a snapshot of that state.

    They raise DatabaseError.
    """

    def __init__(self, state: IndexState) -> None:
        self.state = state
        self.totals = _totals(state.totals)  # rows and words
        self.searches = 0  # that met the state, or one that could be followed to it
        self.entries = 0  # of lists, about 16 bytes each
        self.words: dict[str, WordList] = {}
        self.prefixes: dict[str, WordList] = {}
        self._structure = read_structure(state.structure or b"")
        self._lengths: tuple[Rows, Numbers] | None = None
        self._steps: list[Entries] = []  # changes since the oldest of the lists

    def follow(self, connection: Connection, state: IndexState) -> bool:
        """Bring what is known to this state; False, and nothing changed, where what is new in it cannot be told."""
        if state == self.state:
            return True
        structure = read_structure(state.structure or b"")
        if structure is None or self._structure is None or not state.may_follow(self.state):
            return False
        segments = segments_since(self._structure, structure)
        if segments is None:
            return False
        if segments and (self.words or self.prefixes):
            entries = read_entries(connection, segments)
            if entries is None:
                return False
            self._take_in(connection, entries)
        self.state, self.totals, self._structure = state, _totals(state.totals), structure
        return True

    def of_word(self, connection: Connection, word: str) -> WordList:
        found = self.words.get(word)
        if found is None:
            found = self.words[word] = self._read(WORD, connection, word)
        elif found.step < len(self._steps):
            found = self.words[word] = _up_to_date(found, word, self._steps)
        return found

    def of_prefix(self, connection: Connection, beginning: str) -> WordList:
        """Of all words that begin so. It is read anew after every change, which may be of one of the words."""
        found = self.prefixes.get(beginning)
        if found is None:
            found = self.prefixes[beginning] = self._read(WORDS_FROM, connection, beginning)
        return found

    def lengths_of(self, connection: Connection, rows: Rows) -> Numbers | None:
        """How many words these rows have; None when the index does not know that of every one."""
        if self._lengths is None:
            read = LENGTHS.all(connection)[0]
            self._lengths = read_numbers(read.rows), _lengths(read.lengths)
            self.entries += len(self._lengths[0])
        of, lengths = self._lengths
        at = np.searchsorted(of, rows)
        return lengths[at] if at[-1] < len(of) and np.array_equal(of[at], rows) else None

    def _read(self, query: Query[Occurrences], connection: Connection, word: str) -> WordList:
        found = WordList(*_counted(read_numbers(query.all(connection, word=word)[0].rows)), len(self._steps))
        self.entries += len(found.rows) + LIST_ENTRIES
        return found

    def _take_in(self, connection: Connection, entries: Entries) -> None:
        """The words' lists take it in when they are asked for."""
        if self._lengths is not None:
            rows = sorted({row for rows in entries.values() for row in rows})
            read = LENGTHS_OF.all(connection, rows=json.dumps(rows))[0]
            now = zip(read_numbers(read.rows).tolist(), _lengths(read.lengths), strict=True)
            self._lengths = changed(*self._lengths, dict.fromkeys(rows, 0.0) | dict(now))
        self.prefixes.clear()
        self._steps.append(entries)
        self.entries += sum(map(len, entries.values()))
        if len(self._steps) > MOST_STEPS:
            self._forget_unused()

    def _forget_unused(self) -> None:
        """Lists that nobody has asked for since half of the changes; the others begin a new count."""
        since, steps = len(self._steps) // 2, self._steps
        self.words = {
            word: replace(_up_to_date(one, word, steps), step=0) for word, one in self.words.items() if one.step > since
        }
        self._steps = []
        self.entries = sum(len(one.rows) + LIST_ENTRIES for one in self.words.values())
        self.entries += 0 if self._lengths is None else len(self._lengths[0])


def _up_to_date(found: WordList, word: str, steps: Sequence[Entries]) -> WordList:
    now: dict[int, int] = {}
    for step in steps[found.step :]:
        now.update(step.get(word, ()))
    return WordList(*changed(found.rows, found.counts, now), len(steps))


def _counted(occurrences: Rows) -> tuple[Rows, Numbers]:
    rows, counts = np.unique(occurrences, return_counts=True)
    return rows, counts.astype(np.float64)


def _lengths(text: str | None) -> Numbers:
    return np.array([varint(bytes.fromhex(one), 0)[0] for one in text.split(",")] if text else [], dtype=np.float64)


def _totals(record: bytes | None) -> tuple[int, int]:
    """How many rows the index has, and how many words."""
    if not record:
        return 0, 0
    rows, at = varint(record, 0)
    return rows, varint(record, at)[0]
