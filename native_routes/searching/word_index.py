"""Full-text search from memory: FTS5's own answer, of words that many searches ask for.

FTS5 reads each word's whole list for every search, and once more to count it for BM25. Here lists are read once, from
FTS5's index itself, and then follow what is written to it. Whatever is not plain words is left to FTS5, which is also
asked now and then whether it would have answered the same.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import structlog

from native_routes.database import Connection, DatabaseError, DeadlineExceeded, Query, tokens_of, translated
from native_routes.searching.row_numbers import Rows, Values, each_once, is_among
from native_routes.searching.word_lists import INDEX_STATE, IndexState, WordList, WordLists
from native_routes.searching.word_query import WordQuery, word_query

# Reading a list takes several times what FTS5 takes for a search; it pays once some searches in a row have met the same
# index, or one that could be followed.
SEARCHES_BEFORE: Final = 32
LOOKS_AGAIN: Final = 100  # searches after which it is looked whether the index has grown
MANY_ROWS: Final = 10_000  # memories times words from which on all of the words take FTS5 longer than lists do
LARGE: Final = 30_000  # memories from which on following a change takes less than what FTS5 takes for a few searches
MET_BEFORE: Final = 8  # searches that have to meet a change of a smaller index before it is followed
MOST_WORDS: Final = 50_000
MOST_ENTRIES: Final = 4_000_000  # of lists, 16 bytes each; beyond it all are read anew as they are asked for

CHECKED: Final = 500  # one answer of so many, the first of new lists among them, is compared with FTS5's

# Source: SQLite, FTS5, bm25(): k1 and b are fixed.
_K1: Final = 1.2
_B: Final = 0.75
_LEAST_WEIGHT: Final = 1e-6  # of a word that half of all memories have, or more

_NO_STATE: Final = IndexState(None, None, None, None, -1, None)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ranked:
    rowid: int
    bm25: float  # negative; the lower, the better


# FTS5's own answer. Without conditions the memories need not be looked at before the cut.
BEST_ROWS: Final = Query(
    """
    SELECT rowid, bm25(memories_fts) AS bm25 FROM memories_fts WHERE memories_fts MATCH :match
    ORDER BY bm25 LIMIT :limit
    """,
    row=Ranked,
)


class WordIndex:
    """One for the process, for any of its connections and threads, which are in a snapshot while they ask.

    What is kept belongs to a state of the index, which each connection tells.
    """

    def __init__(self) -> None:
        self.differed = False  # from FTS5: then nothing is answered from memory any more
        self._answers = 0  # from memory
        self._check_at = 1  # so many answers
        self._lists = WordLists(_NO_STATE)
        self._next = WordLists(_NO_STATE)  # of a state that the lists cannot follow to
        self._met = (
            _NO_STATE,
            0,
        )  # the last state that was another than that of the lists, and how many searches met it
        self._busy = threading.Lock()  # who finds it taken asks FTS5
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
        self._answers += 1
        if self._answers < self._check_at:
            return found
        self._check_at = self._answers + CHECKED
        of_fts5 = BEST_ROWS.all(connection, match=match, limit=limit)
        if found != of_fts5:
            self.differed = True
            log.error("words_differ", query=match, limit=limit, reason="every search is left to FTS5 from now on")
        return of_fts5

    def _from_memory(self, connection: Connection, query: WordQuery, limit: int) -> list[Ranked] | None:
        """None where FTS5 is to be asked."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            with translated():
                return self._best(connection, query, limit)
        except DeadlineExceeded:
            raise
        except (DatabaseError, UnicodeEncodeError):
            return None  # FTS5 has an answer, or the words for what is wrong
        finally:
            self._busy.release()

    def _best(self, connection: Connection, query: WordQuery, limit: int) -> list[Ranked] | None:
        known = self._follow(connection)
        if known is None or self._has_little_to_read(query):
            return None
        words = [self._word(connection, phrase.text) for phrase in query.phrases]
        if not all(words):
            return None
        lists = [
            known.of_prefix(connection, word) if phrase.prefix else known.of_word(connection, word)
            for word, phrase in zip(words, query.phrases, strict=True)
        ]
        if not all(known.totals) or any(len(one.rows) > known.totals[0] for one in lists):
            return None  # it counts fewer rows than it has: what comes of that, FTS5 says
        rows, counts = _any(lists) if query.any else _all(lists)
        if not len(rows):
            return []
        lengths = known.lengths_of(connection, rows)
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

    def _follow(self, connection: Connection) -> WordLists | None:
        """What is known of the state that the connection sees; None while it does not pay, or is not understood."""
        state = self._state(connection)
        if self._lists.entries > MOST_ENTRIES:
            self._lists = WordLists(_NO_STATE)
        if self._is_soon_for(state):
            return None
        if self._lists.follow(connection, state):
            known = self._lists
            if self._next.searches:
                self._next = WordLists(_NO_STATE)
        elif self._next.follow(connection, state):
            known = self._next
        else:
            known = self._next = WordLists(state)
        self._rows, self._since = known.totals[0], 0
        known.searches += 1
        if not state.is_usual or known.searches <= SEARCHES_BEFORE:
            return None
        if known is self._next:
            self._lists, self._next, self._check_at = known, WordLists(_NO_STATE), 0
        return known

    def _is_soon_for(self, state: IndexState) -> bool:
        """Whether following the lists to this state may not pay: they are of a small index that has just changed."""
        lists = self._lists
        if not lists.searches or lists.totals[0] >= LARGE or state == lists.state:
            return False
        self._met = state, (self._met[1] + 1 if self._met[0] == state else 1)
        return self._met[1] <= MET_BEFORE

    def _state(self, connection: Connection) -> IndexState:
        """What the connection sees. It does not itself write to the index."""
        version = connection.pragma("data_version")  # every commit of another connection changes it
        seen = self._seen.get(connection)
        if seen is None or seen[0] != version:
            seen = self._seen[connection] = version, INDEX_STATE.all(connection)[0]
        return seen[1]


def _all(lists: Sequence[WordList]) -> tuple[Rows, Values]:
    """Rows that are in every list, and how often each list has them, shape (lists, rows)."""
    shortest, *others = sorted((one.rows for one in lists), key=len)
    rows = shortest
    for longer in others:
        if not len(rows):
            break
        rows = rows[is_among(rows, longer)]
    return rows, np.array([one.counts[one.rows.searchsorted(rows)] for one in lists])


def _any(lists: Sequence[WordList]) -> tuple[Rows, Values]:
    """Rows that are in any list, and how often each list has them, shape (lists, rows)."""
    rows = each_once(np.concatenate([one.rows for one in lists]))
    counts = np.zeros((len(lists), len(rows)))
    for mine, one in zip(counts, lists, strict=True):
        mine[rows.searchsorted(one.rows)] = one.counts
    return rows, counts


def _bm25(counts: Values, lists: Sequence[WordList], lengths: Values, totals: tuple[int, int]) -> Values:
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


def _ranked(rows: Rows, scores: Values, limit: int) -> list[Ranked]:
    """The lowest scores first; equal ones in the order of their rows."""
    if 0 < limit < len(rows):
        chosen = np.flatnonzero(scores <= np.partition(scores, limit - 1)[limit - 1])
        rows, scores = rows[chosen], scores[chosen]
    order = np.argsort(scores, kind="stable")[:limit]
    return [Ranked(*pair) for pair in zip(rows[order].tolist(), scores[order].tolist(), strict=True)]
