"""Full-text search from memory: FTS5's own answer, of words that many searches ask for while memories do not change.

FTS5 reads each word's whole list for every search, and once more to count it for BM25. Here lists are read once, from
FTS5's index itself, and kept until that index changes. Whatever is not plain words is left to FTS5, which is also asked
now and then whether it would have answered the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import structlog
from numpy.typing import NDArray

from native_routes.database import Connection, DatabaseError, DeadlineExceeded, Query, tokens_of, translated
from native_routes.searching.row_numbers import Rows, each_once, is_among, read_numbers
from native_routes.searching.word_query import WordQuery, word_query

# Reading a list takes several times what FTS5 takes for a search; it pays once some searches have met the same index.
SEARCHES_BEFORE: Final = 32
LOOKS_AGAIN: Final = 100  # searches after which it is looked whether the index has grown
MANY_ROWS: Final = 10_000  # memories times words from which on all of the words take FTS5 longer than lists do
LIST_ENTRIES: Final = 32  # what a list takes besides: also a word that nowhere occurs
MOST_WORDS: Final = 50_000
MOST_ENTRIES: Final = 4_000_000  # of lists, 16 bytes each; beyond it all are read anew as they are asked for

CHECKED: Final = 500  # one answer of so many, the first of a state among them, is compared with FTS5's

# Source: SQLite, FTS5, bm25(): k1 and b are fixed.
_K1: Final = 1.2
_B: Final = 0.75
_LEAST_WEIGHT: Final = 1e-6  # of a word that half of all memories have, or more

EXPECTED: Final = "createvirtualtablememories_ftsusingfts5(content,content='memories',content_rowid='rowid')"

log = structlog.get_logger(__name__)
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranked:
    rowid: int
    bm25: float  # negative; the lower, the better


@dataclass(frozen=True, slots=True)
class IndexState:
    structure: bytes | None  # segments of the index, and a count that every change raises
    totals: bytes | None  # how many rows and words
    definition: str | None
    schema: int
    repair: int | None


@dataclass(frozen=True, slots=True)
class Occurrences:
    rows: str | None  # row numbers, between commas, as often as the word occurs


@dataclass(frozen=True, slots=True)
class Lengths:
    rows: str | None
    lengths: str | None  # FTS5's variable-length integers, as hexadecimal digits


# FTS5's own answer. Without conditions the memories need not be looked at before the cut.
BEST_ROWS: Final = Query(
    """
    SELECT rowid, bm25(memories_fts) AS bm25 FROM memories_fts WHERE memories_fts MATCH :match
    ORDER BY bm25 LIMIT :limit
    """,
    row=Ranked,
)
# Source: SQLite's fts5_index.c: record 1 holds the averages, record 10 the structure. The count of changes in it begins
# anew with an older database that was copied into this one, which raises the schema's version, and with an index that
# was built anew, as legacy's repair does, which then notes it: the same structure may stand for other words.
INDEX_STATE: Final = Query(
    """
    SELECT (SELECT block FROM memories_fts_data WHERE id = 10) AS structure,
      (SELECT block FROM memories_fts_data WHERE id = 1) AS totals,
      (SELECT sql FROM sqlite_schema WHERE name = 'memories_fts') AS definition,
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


@dataclass(frozen=True, slots=True)
class _List:
    """Where a word occurs: rows ascending, and how often in each."""

    rows: Rows
    counts: Numbers


@dataclass(slots=True, eq=False)
class _Known:
    """What was read of one state of the index."""

    state: IndexState
    totals: tuple[int, int]  # rows and words
    searches: int = 0
    answers: int = 0  # from memory
    entries: int = 0
    lists: dict[tuple[str, bool], _List] = field(default_factory=dict)  # by word, and whether it is a prefix
    lengths: tuple[Rows, Numbers] | None = None


class WordIndex:
    """One for the process, for any of its connections: what is kept belongs to a state, which each connection tells."""

    def __init__(self) -> None:
        self.differed = False  # from FTS5: then nothing is answered from memory any more
        self._known = _Known(IndexState(None, None, None, -1, None), (0, 0))
        self._words: dict[str, str] = {}  # by phrase
        self._seen: WeakKeyDictionary[Connection, tuple[int, IndexState]] = WeakKeyDictionary()
        self._rows = 0  # of the index, when it was last looked at
        self._since = LOOKS_AGAIN  # searches since then for all of some words

    def best(self, connection: Connection, match: Any, limit: Any) -> list[Ranked]:
        """The best rows in the connection's snapshot, equal ones in the order of the index. Raises DatabaseError."""
        query = word_query(match) if isinstance(match, str) else None
        found = None
        if query is not None and type(limit) is int and limit >= 0 and not self.differed:
            found = None if self._has_little_to_read(query) else self._from_memory(connection, query, limit)
        if found is None:
            return BEST_ROWS.all(connection, match=match, limit=limit)
        self._known.answers += 1
        if self._known.answers % CHECKED == 1 and found != (
            of_fts5 := BEST_ROWS.all(connection, match=match, limit=limit)
        ):
            self.differed = True
            log.error("words_differ", query=match, limit=limit, reason="every search is left to FTS5 from now on")
            return of_fts5
        return found

    def _from_memory(self, connection: Connection, query: WordQuery, limit: int) -> list[Ranked] | None:
        """None where FTS5 is to be asked."""
        try:
            with translated():
                return self._best(connection, query, limit)
        except DeadlineExceeded:
            raise
        except (DatabaseError, UnicodeEncodeError):
            return None  # FTS5 has an answer, or the words for what is wrong

    def _best(self, connection: Connection, query: WordQuery, limit: int) -> list[Ranked] | None:
        known = self._follow(connection)
        if known is None or self._has_little_to_read(query):
            return None
        words = [self._word(connection, phrase.text) for phrase in query.phrases]
        if not all(words):
            return None
        lists = [
            self._list(connection, known, word, phrase.prefix)
            for word, phrase in zip(words, query.phrases, strict=True)
        ]
        if not all(known.totals) or any(len(one.rows) > known.totals[0] for one in lists):
            return None  # it counts fewer rows than it has: what comes of that, FTS5 says
        rows, counts = _any(lists) if query.any else _all(lists)
        if not len(rows):
            return []
        lengths = self._lengths_of(connection, known, rows)
        if lengths is None:
            return None
        return _ranked(rows, _bm25(counts, lists, lengths, known.totals), limit)

    def _has_little_to_read(self, query: WordQuery) -> bool:
        """All of few words FTS5 finds as fast in a small index, as it was when it was last looked at."""
        if query.any or len(query.phrases) == 1 or any(phrase.prefix for phrase in query.phrases):
            return False
        self._since += 1
        return self._rows * len(query.phrases) < MANY_ROWS and self._since < LOOKS_AGAIN

    def _word(self, connection: Connection, text: str) -> str:
        """The word that the index has for a phrase; "" when it is not one word."""
        known = self._words.get(text)
        if known is None:
            tokens = tokens_of(connection, text)
            if len(self._words) >= MOST_WORDS:
                self._words.clear()
            known = self._words[text] = tokens[0] if len(tokens) == 1 else ""
        return known

    def _follow(self, connection: Connection) -> _Known | None:
        """What is known of the state that the connection sees; None while it does not pay, or is not understood."""
        state, known = self._state(connection), self._known
        if state != known.state or known.entries > MOST_ENTRIES:
            known = self._known = _Known(state, _totals(state.totals or b"\0\0"))
        self._rows, self._since = known.totals[0], 0
        known.searches += 1
        usable = state.totals and state.definition and "".join(state.definition.lower().split()) == EXPECTED
        return known if usable and known.searches > SEARCHES_BEFORE else None

    def _state(self, connection: Connection) -> IndexState:
        """What the connection sees. It does not itself write to the index."""
        version = connection.pragma("data_version")  # every commit of another connection changes it
        seen = self._seen.get(connection)
        if seen is None or seen[0] != version:
            seen = self._seen[connection] = version, INDEX_STATE.all(connection)[0]
        return seen[1]

    def _list(self, connection: Connection, known: _Known, word: str, prefix: bool) -> _List:
        found = known.lists.get((word, prefix))
        if found is None:
            occurrences = (WORDS_FROM if prefix else WORD).all(connection, word=word)[0]
            found = known.lists[word, prefix] = _List(*_counted(read_numbers(occurrences.rows)))
            known.entries += len(found.rows) + LIST_ENTRIES
        return found

    def _lengths_of(self, connection: Connection, known: _Known, rows: Rows) -> Numbers | None:
        """How many words these rows have; None when the index does not know that of every one."""
        if known.lengths is None:
            read = LENGTHS.all(connection)[0]
            known.lengths = read_numbers(read.rows), _lengths(read.lengths)
            known.entries += len(known.lengths[0])
        of, lengths = known.lengths
        at = np.searchsorted(of, rows)
        return lengths[at] if at[-1] < len(of) and np.array_equal(of[at], rows) else None


def _all(lists: Sequence[_List]) -> tuple[Rows, Numbers]:
    """Rows that are in every list, and how often each list has them, shape (lists, rows)."""
    shortest, *others = sorted((one.rows for one in lists), key=len)
    rows = shortest
    for longer in others:
        if not len(rows):
            break
        rows = rows[is_among(rows, longer)]
    return rows, np.array([one.counts[one.rows.searchsorted(rows)] for one in lists])


def _any(lists: Sequence[_List]) -> tuple[Rows, Numbers]:
    """Rows that are in any list, and how often each list has them, shape (lists, rows)."""
    rows = each_once(np.concatenate([one.rows for one in lists]))
    counts = np.zeros((len(lists), len(rows)))
    for mine, one in zip(counts, lists, strict=True):
        mine[rows.searchsorted(one.rows)] = one.counts
    return rows, counts


def _bm25(counts: Numbers, lists: Sequence[_List], lengths: Numbers, totals: tuple[int, int]) -> Numbers:
    """As SQLite's fts5_aux.c computes it, operation by operation."""
    rows, words = totals
    weights = np.array([_weight(rows, len(one.rows)) for one in lists])[:, np.newaxis]
    damped = _K1 * (1 - _B + _B * lengths / (words / rows))
    score = np.zeros(len(lengths))
    for part in weights * ((counts * (_K1 + 1.0)) / (counts + damped)):
        score += part  # one after the other: numpy's own sum of a column of one row would add in pairs
    return -score


def _weight(rows: int, having: int) -> float:
    weight = math.log((rows - having + 0.5) / (having + 0.5))
    return weight if weight > 0 else _LEAST_WEIGHT


def _ranked(rows: Rows, scores: Numbers, limit: int) -> list[Ranked]:
    """The lowest scores first; equal ones in the order of their rows."""
    if 0 < limit < len(rows):
        chosen = np.flatnonzero(scores <= np.partition(scores, limit - 1)[limit - 1])
        rows, scores = rows[chosen], scores[chosen]
    order = np.argsort(scores, kind="stable")[:limit]
    return [Ranked(*pair) for pair in zip(rows[order].tolist(), scores[order].tolist(), strict=True)]


def _counted(occurrences: Rows) -> tuple[Rows, Numbers]:
    rows, counts = np.unique(occurrences, return_counts=True)
    return rows, counts.astype(np.float64)


def _lengths(text: str | None) -> Numbers:
    return np.array([_varint(bytes.fromhex(one))[0] for one in text.split(",")] if text else [], dtype=np.float64)


def _totals(record: bytes) -> tuple[int, int]:
    """How many rows the index has, and how many words."""
    rows, at = _varint(record)
    return rows, _varint(record[at:])[0]


def _varint(record: bytes) -> tuple[int, int]:
    """SQLite's integer of variable length, high bits first, and how many bytes it takes. Nine bytes do not occur."""
    value = 0
    for at, byte in enumerate(record, 1):
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value, len(record)
