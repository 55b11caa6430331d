"""Words found from memory against FTS5 itself: the same rows in the same order, the same numbers to the last bit."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as some

from native_routes.database import DeadlineExceeded, show_words, tokens_of
from native_routes.searching import word_index
from native_routes.searching.word_index import BEST_ROWS, Ranked, WordIndex
from native_routes.searching.word_query import Phrase, WordQuery, word_query
from native_routes.searching.word_segments import read_structure
from tests.native_routes.home_database import HomeDatabase

WORDS = (
    "tea",
    "Tea",
    "coffee",
    "milk",
    "café",
    "the",
    "the",
    "the",
    "a",
    "don't",
    "x_y",
    "42",
    "日本語",
    "teapot",
    "naïve",
)


class Searched:
    """A home with words, another connection that searches it, and what is known."""

    def __init__(self, path: Path) -> None:
        self.home = HomeDatabase(path)
        self.reading = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        show_words(self.reading)
        self.words = WordIndex()
        self.random = random.Random(11)
        self.made = 0

    def add(self, count: int, text: str | None = None) -> None:
        self.home.execute("BEGIN")
        for _ in range(count):
            self.made += 1
            length = self.random.choice((0, 1, 3, 8, 30, 200))
            content = " ".join(self.random.choices(WORDS, k=length)) if text is None else text
            self.home.memory(f"m{self.made}", content=content, content_hash=f"m{self.made}")
        self.home.execute("COMMIT")

    def warm(self) -> None:
        for _ in range(word_index.SEARCHES_BEFORE):
            self.from_memory("tea", 1)

    def from_memory(self, match: object, limit: object = 20, connection: apsw.Connection | None = None) -> Any:
        """What is found without FTS5; None when it is asked."""
        answers = self.words._answers
        try:
            found = self.words.best(connection or self.reading, match, limit)
        except (apsw.Error, ValueError, TypeError):  # FTS5's own words for what is wrong
            return None
        return found if self.words._answers > answers else None

    def agrees(self, match: str, limit: int = 20) -> int:
        """How many rows both found. Fails when they differ, or when FTS5 was left to answer."""
        found: list[Ranked] | None = self.from_memory(match, limit)
        assert found is not None, match
        assert found == BEST_ROWS.all(self.reading, match=match, limit=limit), match
        return len(found)

    def takes_the_same_place(self, before: str, after: str) -> bool:
        """Whether the index looks as it did, though it has one word in the place of another."""
        found = self.words._lists.state
        structure, totals = self.home.execute(
            "SELECT (SELECT block FROM memories_fts_data WHERE id = 10),"
            " (SELECT block FROM memories_fts_data WHERE id = 1)"
        )[0]
        assert not self.home.execute("SELECT 1 FROM memories_fts WHERE memories_fts MATCH ?", (before,))
        assert self.home.execute("SELECT 1 FROM memories_fts WHERE memories_fts MATCH ?", (after,))
        return (found.structure, found.totals) == (structure, totals)

    def close(self) -> None:
        self.reading.close()
        self.home.close()


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Searched]:
    monkeypatch.setattr(word_index, "MANY_ROWS", 100)  # so that every kind of query is answered from memory
    monkeypatch.setattr(word_index, "LARGE", 0)  # and whatever is written is followed at once
    made = Searched(tmp_path / "memories.db")
    made.add(400)
    made.warm()
    yield made
    made.close()


@pytest.mark.parametrize(
    "match",
    [
        "tea", "TEA", '"tea" "the"', "tea the milk", "tea AND coffee", "tea OR coffee OR the", "te*", "te* milk",
        "te* OR mi*", '"caf" *', "café", "cafe", "日本語", "42", "tea tea", "the OR the", "absent", "tea absent",
        "absent OR tea", "absent*", '"the"', "a", "NEAR",
    ],
)  # fmt: skip
def test_rows_order_and_scores_are_those_of_fts5(searched: Searched, match: str) -> None:
    for limit in (0, 1, 7, 20, 1_000):
        searched.agrees(match, limit)


def test_any_words_give_what_fts5_gives(searched: Searched) -> None:
    found = 0
    for _ in range(500):
        words = searched.random.choices((*WORDS, "absent", "te*", "n*"), k=searched.random.randint(1, 6))
        match = searched.random.choice((" ", " AND ", " OR ")).join(
            word for word in words if word.isalnum() or "*" in word
        )
        if match:
            found += searched.agrees(match, searched.random.choice((1, 5, 20, 500)))
    assert found > 1_000


def test_many_words_of_one_memory_are_added_in_their_order(searched: Searched) -> None:
    words = [f"rare{number}" for number in range(40)]
    searched.add(1, " ".join(words + words[::3] + words[::7]))
    searched.warm()
    for count in (7, 8, 9, 16, 40):
        assert searched.agrees(" ".join(words[:count])) == 1
        assert searched.agrees(" OR ".join(words[:count])) == 1


def test_equal_scores_keep_the_order_of_rows_also_at_the_cut(searched: Searched) -> None:
    searched.add(50, "same words here")
    searched.warm()
    assert searched.agrees("same", 10) == 10
    assert searched.agrees("same OR words", 49) == 49


@pytest.mark.parametrize(
    "match",
    [
        "", " ", "don't", '"two words"', "x_y", "tea NOT milk", "tea AND coffee OR milk", "tea milk OR coffee", "(tea)",
        "tea " + "x" * 201,
        "NEAR(tea milk)", "content : tea", "^tea", "tea + milk", "tea -milk", "AND", "tea OR", "OR tea",
        '"open', "te**", "* te", '"" tea', '"..." tea', "tea\0milk", "tea \ud800", "tea.", "{content} : tea",
    ],
)  # fmt: skip
def test_everything_else_is_left_to_fts5(searched: Searched, match: str) -> None:
    assert searched.from_memory(match) is None


@pytest.mark.parametrize("limit", [-1, 2.5, "3", None, True, 2.0])
def test_a_limit_that_is_no_count_is_left_to_fts5(searched: Searched, limit: object) -> None:
    assert searched.from_memory("tea", limit) is None


def test_what_is_written_is_followed(searched: Searched) -> None:
    for match in ("tea milk", "tea OR the OR absent OR zebra", "te*"):
        searched.agrees(match)
    for change in (
        "INSERT INTO memories (id, content, content_hash, type, created_at, updated_at)"
        " VALUES ('new', 'tea and milk and a zebra', 'new', 'fact', '', '')",
        "UPDATE memories SET content = 'coffee' WHERE id = 'new'",
        "UPDATE memories SET content = 'tea tea' WHERE id = 'new'",
        "UPDATE memories SET content = '' WHERE id = 'new'",
        "UPDATE memories SET pinned = 1 WHERE id = 'm7'",
        "UPDATE memories SET content = content || ' zebra', rowid = 5000000000 WHERE id = 'm9'",
        "UPDATE memories SET content = content || ' tea' WHERE rowid % 60 = 0",
        "DELETE FROM memories WHERE id = 'new'",
        "DELETE FROM memories WHERE rowid < 12",
        "INSERT INTO memories (rowid, id, content, content_hash, type, created_at, updated_at)"
        " VALUES (4, 'again', 'tea the absent', 'again', 'fact', '', '')",
        "INSERT INTO memories_fts (memories_fts) VALUES ('optimize')",
        "INSERT INTO memories_fts (memories_fts, rank) VALUES ('merge', 500)",
    ):
        searched.home.execute(change)
        for match in ("tea", "milk coffee", "tea OR the OR absent OR zebra", "te* OR the", "zebra"):
            searched.agrees(match, 500)
    assert searched.words._lists._lengths is not None
    rows = searched.words._lists._lengths[0].tolist()
    assert rows == [id for (id,) in searched.home.execute("SELECT id FROM memories_fts_docsize ORDER BY id")]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE memories SET content = 'tea ' || replace(hex(randomblob(600)), 'A', ' ')",
        "INSERT INTO memories_fts (memories_fts) VALUES ('rebuild')",
        "INSERT INTO memories_fts (memories_fts, rank) VALUES ('pgsz', 200)",
        "INSERT INTO memories_fts (memories_fts, rank) VALUES ('crisismerge', 3)",
        "INSERT INTO memories_fts (memories_fts, rank) VALUES ('automerge', 0)",
        "UPDATE memories SET content = content || ' zebra', rowid = -5 WHERE id = 'm9'",
        "CREATE TABLE other (a)",
    ],
)
def test_an_index_that_cannot_be_followed_is_asked_itself_until_it_pays_again(searched: Searched, change: str) -> None:
    searched.agrees("tea milk")
    searched.home.execute(change)
    assert searched.from_memory("tea") is None
    searched.warm()
    for match in ("tea", "milk coffee", "te* OR the"):
        searched.agrees(match, 500)


def test_searches_in_a_row_are_needed_before_other_lists_take_the_place(searched: Searched) -> None:
    with closing(apsw.Connection(str(searched.home.path), flags=apsw.SQLITE_OPEN_READONLY)) as older:
        show_words(older)
        older.execute("BEGIN; SELECT 1 FROM memories")
        searched.add(1, "zebra")
        searched.agrees("zebra")
        for _ in range(2 * word_index.SEARCHES_BEFORE):
            assert searched.from_memory("tea", 20, older) is None
            searched.agrees("zebra")


def test_an_index_built_anew_by_somebody_who_does_not_tell_is_not_taken_for_the_same(searched: Searched) -> None:
    """It has as many pages as before, and another memory in it, which no trigger had put there."""
    rebuild = "INSERT INTO memories_fts (memories_fts) VALUES ('rebuild')"
    searched.home.execute("DELETE FROM memories WHERE rowid > 10")
    searched.home.execute(rebuild)
    searched.warm()
    searched.agrees("tea")
    searched.home.execute("DROP TRIGGER memories_ai")
    searched.warm()
    searched.agrees("tea")
    before = searched.words._lists._structure
    searched.add(1, "tea")
    searched.home.execute(rebuild)
    assert searched.from_memory("tea") is None
    searched.warm()
    searched.agrees("tea")
    assert searched.words._lists._structure == before


def test_a_small_index_is_followed_once_some_searches_have_met_the_change(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_index, "LARGE", 1_000)
    searched.agrees("tea")
    lists = searched.words._lists
    for changes in (1, 3):
        for _ in range(changes):
            searched.add(1, "zebra and tea")
            for _ in range(word_index.MET_BEFORE - 1):
                assert searched.from_memory("zebra") is None
        assert searched.from_memory("zebra") is None
        assert searched.agrees("zebra") > 0
        assert searched.words._lists is lists

    monkeypatch.setattr(word_index, "LARGE", 100)
    searched.add(1, "zebra and tea")
    assert searched.agrees("zebra") == 5


def test_lists_follow_hundreds_of_changes(searched: Searched) -> None:
    """Segments are merged meanwhile. Only where all become one, as happens in a small index, are lists read anew."""
    followed = 0
    for number in range(1_000):
        choice = searched.random.random()
        if choice < 0.6:
            searched.add(searched.random.choice((1, 1, 2, 3)))
        elif choice < 0.8:
            searched.home.execute("UPDATE memories SET content = 'tea ' || content WHERE rowid = ?", (number,))
        else:
            searched.home.execute("DELETE FROM memories WHERE rowid = ?", (searched.random.randint(1, 400),))
        match = searched.random.choice(("tea", "the OR milk", "te* the", "naive tea"))
        found = searched.from_memory(match, 1_000)
        followed += found is not None
        assert found in (None, BEST_ROWS.all(searched.reading, match=match, limit=1_000))
    assert not searched.words.differed
    assert followed > 700


@pytest.mark.parametrize(
    "damage",
    [
        lambda block: b"",
        lambda block: b"\0\0\xff\xff" + block[4:],
        lambda block: block[:4] + b"\xff" * (len(block) - 4),
        lambda block: block[:-1] + b"\xff",
        lambda block: block[:4] + bytes(len(block) - 4),
        lambda block: "text",
        lambda block: None,
    ],
)
def test_a_page_that_makes_no_sense_is_not_followed(
    searched: Searched, damage: Callable[[bytes], bytes | str | None]
) -> None:
    searched.agrees("tea")
    searched.add(1, "zebra and tea")
    structure = read_structure(searched.home.execute("SELECT block FROM memories_fts_data WHERE id = 10")[0][0])
    assert structure is not None
    page = (structure.levels[0].segments[-1].number << 37) + 1
    (block,) = searched.home.execute("SELECT block FROM memories_fts_data WHERE id = ?", (page,))[0]
    searched.home.execute("UPDATE memories_fts_data SET block = ? WHERE id = ?", (damage(block), page))
    assert searched.from_memory("tea") is None


def test_whoever_finds_the_lists_in_use_asks_fts5(searched: Searched) -> None:
    searched.agrees("tea")
    with searched.words._busy:
        assert searched.from_memory("tea") is None
        assert searched.words.best(searched.reading, "tea", 5) == BEST_ROWS.all(searched.reading, match="tea", limit=5)
    searched.agrees("tea")


def test_threads_that_search_while_memories_are_written_all_get_what_they_see(searched: Searched) -> None:
    wrong: list[str] = []
    ended = threading.Event()

    def search(seed: int) -> None:
        chosen = random.Random(seed)
        with closing(apsw.Connection(str(searched.home.path), flags=apsw.SQLITE_OPEN_READONLY)) as reading:
            reading.set_busy_timeout(5_000)
            show_words(reading)
            while not ended.is_set():
                match = chosen.choice(("tea", "the OR milk", "te* the", "zebra OR tea"))
                reading.execute("BEGIN")
                found = searched.words.best(reading, match, 50)
                if found != BEST_ROWS.all(reading, match=match, limit=50):
                    wrong.append(match)
                reading.execute("ROLLBACK")

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    before = searched.words._answers
    for number in range(300):
        searched.add(1, f"zebra tea {number}")
        if number % 3 == 0:
            searched.home.execute("UPDATE memories SET content = 'the ' || content WHERE rowid = ?", (number,))
    ended.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not searched.words.differed
    assert searched.words._answers > before


def test_what_does_not_touch_the_words_leaves_the_lists(searched: Searched) -> None:
    searched.agrees("tea")
    searched.home.event("m1")
    searched.agrees("tea")


def test_an_older_database_that_was_copied_into_this_one_is_read_anew(searched: Searched) -> None:
    older = searched.home.copy()
    searched.add(1, "zebra and tea")
    searched.warm()
    assert searched.agrees("zebra") == 1
    searched.home.become(older)
    searched.add(1, "okapi and tea")

    assert searched.takes_the_same_place("zebra", "okapi")
    assert searched.words.best(searched.reading, "zebra", 20) == []
    searched.warm()
    assert searched.agrees("okapi") == 1


def test_an_index_that_legacys_repair_built_anew_is_read_anew(searched: Searched) -> None:
    rebuild = "INSERT INTO memories_fts (memories_fts) VALUES ('rebuild')"
    searched.add(1, "zebra and tea")
    searched.home.execute(rebuild)
    searched.warm()
    assert searched.agrees("zebra") == 1
    searched.home.execute("UPDATE memories SET content = 'okapi and tea' WHERE content = 'zebra and tea'")
    searched.home.execute(rebuild)
    searched.home.event("system", event="none")

    assert searched.takes_the_same_place("zebra", "okapi")
    assert searched.words.best(searched.reading, "zebra", 20) == []
    searched.warm()
    assert searched.agrees("okapi") == 1


def test_two_connections_each_get_the_answer_of_what_they_see(searched: Searched) -> None:
    other = apsw.Connection(str(searched.home.path), flags=apsw.SQLITE_OPEN_READONLY)
    show_words(other)
    other.execute("BEGIN")
    before = BEST_ROWS.all(other, match="tea", limit=500)
    searched.add(20, "tea")
    searched.warm()
    searched.agrees("tea", 500)

    for _ in range(word_index.SEARCHES_BEFORE):
        searched.words.best(other, "tea", 500)
    assert searched.from_memory("tea", 500, other) == before
    other.close()


def test_a_row_without_a_length_is_left_to_fts5_which_calls_it_damaged(searched: Searched) -> None:
    searched.home.execute("DELETE FROM memories_fts_docsize WHERE id > 200")
    assert searched.from_memory("the") is None


def test_an_index_that_counts_fewer_rows_than_it_has_is_left_to_fts5(searched: Searched) -> None:
    """As when memories were there before the index: a change takes one off the count, though it was never counted."""
    searched.home.execute("DELETE FROM memories")
    searched.home.execute("INSERT INTO memories_fts (memories_fts) VALUES ('rebuild')")
    searched.add(1, "note of tea")
    searched.home.execute("DROP TRIGGER memories_ai")
    searched.add(2, "note of tea")
    searched.home.execute("UPDATE memories SET pinned = 1 WHERE rowid > (SELECT min(rowid) FROM memories)")
    searched.warm()

    assert searched.from_memory("note") is None


def test_absent_words_are_not_kept_without_end(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_index, "MOST_ENTRIES", 2_000)
    for number in range(200):
        searched.from_memory(f"absent{number}")

    assert len(searched.words._lists.words) < 100


def test_another_table_of_words_is_left_to_fts5(searched: Searched) -> None:
    searched.home.execute(
        "DROP TABLE memories_fts; CREATE VIRTUAL TABLE memories_fts"
        " USING fts5(content, content='memories', content_rowid='rowid', tokenize='porter');"
        " INSERT INTO memories_fts (memories_fts) VALUES ('rebuild')"
    )
    searched.warm()
    assert searched.from_memory("tea") is None


def test_no_more_lists_are_kept_than_fit(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_index, "MOST_ENTRIES", 100)
    searched.agrees("the")
    assert searched.from_memory("tea") is None
    assert not searched.words._lists.words


def test_time_that_is_over_ends_the_search(searched: Searched) -> None:
    searched.reading.set_progress_handler(lambda: True, 1)
    with pytest.raises(DeadlineExceeded):
        searched.words.best(searched.reading, "coffee", 20)


def test_an_answer_that_is_not_fts5s_is_noticed_and_never_given(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would be with another way of rounding, or an index that changed behind an unchanged state."""
    monkeypatch.setattr(word_index, "_K1", 1.3)
    right = BEST_ROWS.all(searched.reading, match="tea", limit=5)

    assert searched.words.best(searched.reading, "tea", 5) == right
    assert searched.words.differed
    assert searched.words.best(searched.reading, "tea", 5) == right


def test_all_of_some_words_in_a_small_index_are_left_to_fts5(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_index, "MANY_ROWS", 1_000)
    assert searched.from_memory("tea milk") is None
    for match in ("tea", "tea OR milk", "te* milk"):
        searched.agrees(match)

    searched.add(200)
    for _ in range(word_index.LOOKS_AGAIN + word_index.SEARCHES_BEFORE):
        searched.from_memory("tea milk")
    searched.agrees("tea milk")


def test_a_connection_that_shows_no_words_asks_fts5(searched: Searched) -> None:
    with closing(apsw.Connection(str(searched.home.path), flags=apsw.SQLITE_OPEN_READONLY)) as plain:
        assert searched.from_memory("tea", 20, plain) is None
        assert searched.words.best(plain, "tea", 20) == BEST_ROWS.all(plain, match="tea", limit=20)


@pytest.mark.parametrize("match", ['tea ""', '"" tea', 'tea AND ""', 'tea OR ""', '"-" tea', '""', '"" ""*'])
def test_phrases_without_words_are_left_to_fts5(searched: Searched, match: str) -> None:
    assert searched.from_memory(match) is None
    found = searched.words.best(searched.reading, match, 20)
    assert found == BEST_ROWS.all(searched.reading, match=match, limit=20)


def test_words_are_cut_and_folded_as_in_the_index(searched: Searched) -> None:
    assert tokens_of(searched.reading, "Don't STOP café_x ÅNGSTRÖM") == ["don", "t", "stop", "cafe", "x", "angstrom"]


def test_a_query_is_read_as_fts5_reads_it() -> None:
    assert word_query('tea "milk ""x"""*') == WordQuery((Phrase("tea"), Phrase('milk "x"', prefix=True)))
    assert word_query("a OR b\tOR\nc") == WordQuery((Phrase("a"), Phrase("b"), Phrase("c")), any=True)
    assert word_query("and or not") == WordQuery((Phrase("and"), Phrase("or"), Phrase("not")))


@given(some.text(alphabet='teami "*ANDOR\t()+-^:{},.é日_\x1a', max_size=20))
def test_what_is_read_at_all_means_to_fts5_the_same(text: str) -> None:
    query = word_query(text)
    database = _three_texts()
    if query is None or not all(tokens_of(database, phrase.text) for phrase in query.phrases):
        return  # left to FTS5: it drops a phrase without words from `tea ""`, and finds nothing for `tea AND ""`
    shown = (" OR " if query.any else " AND ").join(
        '"' + phrase.text.replace('"', '""') + '"' + "*" * phrase.prefix for phrase in query.phrases
    )
    assert _found(database, text) == _found(database, shown)


def _three_texts() -> apsw.Connection:
    database = apsw.Connection(":memory:")
    database.execute("CREATE VIRTUAL TABLE t USING fts5(content)")
    texts = ("tea meat", "e a m i t", "AND OR eat é", "日 team ie", "te_am \x1a ai")
    database.executemany("INSERT INTO t VALUES (?)", [(text,) for text in texts])
    return database


def _found(database: apsw.Connection, match: str) -> list[Any]:
    return database.execute("SELECT rowid, bm25(t) FROM t WHERE t MATCH ?", (match,)).fetchall()
