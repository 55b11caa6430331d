"""Where words occur in the full-text index, and how many words each row has: read once, and then kept up to date."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import numpy as np

from native_routes.database import Connection, Query
from native_routes.searching.row_numbers import NO_ROWS, Rows, Values, changed, read_numbers
from native_routes.searching.word_segments import (
    SETTINGS,
    Entries,
    read_entries,
    read_structure,
    segments_since,
    varint,
)

LIST_ENTRIES: Final = 32  # what a list takes besides its rows: also a word that nowhere occurs

EXPECTED: Final = "createvirtualtablememories_ftsusingfts5(content,content='memories',content_rowid='rowid')"


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
    lengths: str | None  # FTS5's variable-length integers, as eight hexadecimal digits each


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
    SELECT group_concat(id) AS rows, group_concat(substr('000000' || hex(sz), -8), '') AS lengths
    FROM (SELECT id, sz FROM memories_fts_docsize ORDER BY id)
    """,
    row=Lengths,
)
LENGTHS_OF: Final = Query(
    """
    SELECT group_concat(id) AS rows, group_concat(substr('000000' || hex(sz), -8), '') AS lengths
    FROM memories_fts_docsize WHERE id IN (SELECT value FROM json_each(:rows))
    """,
    row=Lengths,
)


@dataclass(frozen=True, slots=True)
class WordList:
    """Where a word occurs: rows ascending, and how often in each."""

    rows: Rows
    counts: Values


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
        self._lengths: tuple[Rows, Values] | None = None
        self._pending: Entries = {}  # what the words' lists take in when they are asked for

    def follow(self, connection: Connection, state: IndexState) -> bool:
        """Bring what is known to this state; False, and nothing changed, where what is new in it cannot be told."""
        if state == self.state:
            return True
        structure = read_structure(state.structure or b"")
        if structure is None or self._structure is None or not state.may_follow(self.state):
            return False
        segments, totals = segments_since(self._structure, structure), _totals(state.totals)
        if segments is None or (not segments and totals[1] != self.totals[1]):
            return False  # also where it was built anew with as many pages, and nobody has told
        if segments and (self.words or self.prefixes):
            entries = read_entries(connection, segments)
            if entries is None:
                return False
            self._take_in(connection, entries)
        self.state, self.totals, self._structure = state, totals, structure
        return True

    def of_word(self, connection: Connection, word: str) -> WordList:
        found = self.words.get(word)
        if found is None:
            found = self.words[word] = self._read(WORD, connection, word)
        elif now := self._pending.pop(word, None):
            found = self.words[word] = WordList(*changed(found.rows, found.counts, now))
        return found

    def of_prefix(self, connection: Connection, beginning: str) -> WordList:
        """Of all words that begin so. It is read anew after every change, which may be of one of the words."""
        found = self.prefixes.get(beginning)
        if found is None:
            found = self.prefixes[beginning] = self._read(WORDS_FROM, connection, beginning)
        return found

    def lengths_of(self, connection: Connection, rows: Rows) -> Values | None:
        """How many words these rows have; None when the index does not know that of every one."""
        if self._lengths is None:
            self._lengths = _lengths(LENGTHS.all(connection)[0])
            self.entries += len(self._lengths[0])
        of, lengths = self._lengths
        at = np.searchsorted(of, rows)
        return lengths[at] if at[-1] < len(of) and np.array_equal(of[at], rows) else None

    def _read(self, query: Query[Occurrences], connection: Connection, word: str) -> WordList:
        found = WordList(*_counted(read_numbers(query.all(connection, word=word)[0].rows)))
        self.entries += len(found.rows) + LIST_ENTRIES
        return found

    def _take_in(self, connection: Connection, entries: Entries) -> None:
        if self._lengths is not None:
            rows = sorted({row for rows in entries.values() for row in rows})
            found, lengths = _lengths(LENGTHS_OF.all(connection, rows=json.dumps(rows))[0])
            now = dict(zip(found.tolist(), lengths.tolist(), strict=True))
            self._lengths = changed(*self._lengths, dict.fromkeys(rows, 0.0) | now)
        self.prefixes.clear()
        for word in entries.keys() & self.words.keys():
            self._pending.setdefault(word, {}).update(entries[word])
            self.entries += len(entries[word])


def _counted(occurrences: Rows) -> tuple[Rows, Values]:
    rows, counts = np.unique(occurrences, return_counts=True)
    return rows, counts.astype(np.float64)


def _lengths(read: Lengths) -> tuple[Rows, Values]:
    """Rows and how many words each has; none at all when one is of another form, so that FTS5 is asked about it."""
    rows = read_numbers(read.rows)
    packed = np.frombuffer(bytes.fromhex(read.lengths or ""), dtype=">u4").astype(np.int64)
    if len(packed) != len(rows):
        return NO_ROWS, np.empty(0)
    lengths = sum((packed >> 8 * place & 0x7F) << 7 * place for place in range(4))
    return rows, np.asarray(lengths, dtype=np.float64)


def _totals(record: bytes | None) -> tuple[int, int]:
    """How many rows the index has, and how many words."""
    if not record:
        return 0, 0
    rows, at = varint(record, 0)
    return rows, varint(record, at)[0]
