"""What FTS5 has written since a state of its index, against what its own vocabulary says of both states."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from native_routes.database import show_words
from native_routes.searching.word_segments import (
    MOST_LEAVES,
    Entries,
    Level,
    Segment,
    Structure,
    read_entries,
    read_structure,
    segments_since,
    varint,
)
from parity_tests.harness.side import bun_path
from tests.native_routes.home_database import HomeDatabase

WORDS = [*(f"word{number}" for number in range(40)), "日本", "naïve", "tea"]
LONG = "x" * 3_000


class Index:
    """A full-text index that the test writes to as programs do, by chance."""

    def __init__(self, path: Path, seed: int) -> None:
        self.home = HomeDatabase(path)
        show_words(self.home.connection)
        self.random = random.Random(seed)
        self.made = 0
        self.read: Callable[..., list[Any]] = self.home.execute

    def structure(self) -> Structure:
        structure = read_structure(self.read("SELECT block FROM memories_fts_data WHERE id = 10")[0][0])
        assert structure is not None
        return structure

    def words(self) -> Entries:
        found: Entries = {}
        for word, row, count in self.read("SELECT term, doc, count(*) FROM temp.memory_words GROUP BY 1, 2"):
            found.setdefault(word, {})[row] = count
        return found

    def text(self, most: int) -> str:
        words = self.random.choices(WORDS, k=self.random.choice((0, 1, 5, most)))
        return " ".join([*words, LONG] if self.random.random() < 0.02 else words)

    def write(self, most: int = 50) -> None:
        choice = self.random.random()
        if choice < 0.6 or self.made < 5:
            self.made += 1
            self.home.memory(f"m{self.made}", content=self.text(most), content_hash=f"m{self.made}")
        elif choice < 0.75:
            self.home.execute("DELETE FROM memories WHERE rowid = ?", (self.random.randint(1, self.made),))
        elif choice < 0.97:
            row = self.random.randint(1, self.made)
            self.home.execute("UPDATE memories SET content = ? WHERE rowid = ?", (self.text(most), row))
        else:
            self.home.execute("UPDATE memories SET pinned = 1 WHERE rowid % 5 = 0")

    def command(self, command: str, rank: int | None = None) -> None:
        self.home.execute("INSERT INTO memories_fts (memories_fts, rank) VALUES (?, ?)", (command, rank))


@pytest.fixture(params=[1, 2, 3])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "memories.db", request.param)
    yield made
    made.home.close()


def after(before: Entries, entries: Entries) -> Entries:
    """The words as the entries leave them."""
    now = {word: dict(rows) for word, rows in before.items()}
    for word, rows in entries.items():
        now[word] = {row: count for row, count in (now.get(word, {}) | rows).items() if count}
    return {word: rows for word, rows in now.items() if rows}


def follow(index: Index, states: int, writes: tuple[int, ...], most: int) -> Counter[str]:
    """How changes of the index were told; fails when one was told wrongly."""
    told: Counter[str] = Counter()
    structure, words = index.structure(), index.words()
    for _ in range(states):
        for _ in range(index.random.choice(writes)):
            index.write(most)
        if index.random.random() < 0.02:
            index.command("merge", index.random.choice((1, 50, -50)))
        now, words_now = index.structure(), index.words()
        segments = segments_since(structure, now) if structure.levels else None
        if segments is None:
            told["unknown"] += 1
        else:
            told["added" if set(segments) <= set(now.levels[0].segments) else "merged"] += 1
            entries = read_entries(index.home.connection, segments)
            assert entries is not None
            assert after(words, entries) == words_now
        structure, words = now, words_now
    return told


def test_every_change_is_told_as_the_vocabulary_has_it(index: Index) -> None:
    index.command("optimize")
    told = follow(index, 400, (1, 1, 2, 3, 9), 50)
    assert told["added"] > 200
    assert told["merged"] > 10
    assert told["unknown"] < 80


WRITER_IN_BUN = """
import { Database } from "bun:sqlite";
const db = new Database(process.argv.at(-1));
for await (const line of console) { db.run(...JSON.parse(line)); console.log("done"); }
"""


def test_what_buns_sqlite_writes_is_told_likewise(index: Index, tmp_path: Path) -> None:
    """Legacy has a SQLite of its own, which merges segments by itself as well."""
    script = tmp_path / "writer.ts"
    script.write_text(WRITER_IN_BUN)
    command = [str(bun_path()), str(script), str(index.home.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as bun:
        assert bun.stdin is not None
        assert bun.stdout is not None

        def execute(statement: str, values: tuple[object, ...] = ()) -> list[object]:
            print(json.dumps([statement, values]), file=bun.stdin, flush=True)
            assert bun.stdout is not None
            assert bun.stdout.readline() == "done\n"
            return []

        for _ in range(60):
            index.write()
        index.command("optimize")
        index.home.execute, read = execute, index.home.execute  # type: ignore[method-assign]
        index.read = read
        told = follow(index, 150, (1, 2, 3), 50)
        bun.stdin.close()
    assert told["added"] > 80
    assert told["merged"] > 5


def test_lists_that_go_on_from_page_to_page_are_read(index: Index) -> None:
    told = follow(index, 60, (1, 2), 5_000)
    assert told["added"] > 20


def test_small_memories_whose_segments_are_of_one_page(index: Index) -> None:
    """The next change brings what was merged back to level 0, where numbers of segments are taken again."""
    told = follow(index, 200, (1, 3, 9, 20, 40), 3)
    assert told["added"] > 50
    assert told["merged"] > 5


def test_a_whole_segment_is_read_as_the_vocabulary_has_it(index: Index) -> None:
    for _ in range(300):
        index.write(500)
    index.home.memory("long", content="tea milk " * 20_000)  # of one row, over several pages
    index.command("optimize")
    (segment,) = [segment for level in index.structure().levels for segment in level.segments]
    assert segment.pages > 5
    entries = read_entries(index.home.connection, [segment])
    assert entries is not None
    assert after({}, entries) == index.words()


def test_what_merges_alone_changes_nothing(index: Index) -> None:
    for _ in range(50):
        index.write()
    before = index.structure()
    index.command("optimize")
    assert index.structure() != before
    assert segments_since(before, index.structure()) == ()


OLD = Segment(40, 1, 500)
BEFORE = Structure(100, (Level(0, (Segment(1, 1, 1), Segment(2, 1, 1))), Level(0, (OLD,))))


def level_0(*segments: Segment, merging: int = 0) -> Structure:
    return replace(BEFORE, leaves=103, levels=(Level(merging, segments), BEFORE.levels[1]))


def test_segments_that_were_added_hold_what_was_written() -> None:
    added = Segment(3, 1, 1), Segment(4, 1, 2)
    assert segments_since(BEFORE, level_0(*BEFORE.levels[0].segments, *added)) == added


@pytest.mark.parametrize(
    "now",
    [
        replace(BEFORE, leaves=99),  # an older state
        replace(BEFORE, leaves=100 + MOST_LEAVES + 1),
        replace(BEFORE, leaves=101, levels=()),
        replace(BEFORE, leaves=103, levels=(Level(0, ()), Level(0, (Segment(3, 1, 600),)))),  # all were merged
        level_0(Segment(3, 1, 2), merging=1),  # what is left of a segment of which a part is elsewhere
        replace(BEFORE, leaves=103, levels=(Level(0, ()), Level(0, (OLD, Segment(3, 1, 300))))),  # too much to read
    ],
)
def test_what_cannot_be_told_is_not_told(now: Structure) -> None:
    assert segments_since(BEFORE, now) is None


def test_a_segment_in_the_place_of_another_is_read() -> None:
    """Level 0 was merged, and the numbers were taken again: fewer pages are there than were written."""
    levels = BEFORE.levels[0], Level(0, (OLD, Segment(5, 1, 3)))
    before, now = replace(BEFORE, levels=levels), replace(BEFORE, leaves=105, levels=levels)
    assert segments_since(before, now) == [Segment(5, 1, 3), *BEFORE.levels[0].segments]


def test_each_time_that_level_0_was_merged_may_have_left_a_segment() -> None:
    old = tuple(Segment(number, 1, 3) for number in range(10, 20))
    before = Structure(64, (Level(0, ()), Level(0, (OLD, *old))))
    for leaves, outputs in ((80, 1), (81, 2), (127, 4), (128, 5)):
        assert segments_since(before, replace(before, leaves=leaves)) == list(old[-outputs:])


@pytest.mark.parametrize(
    "block", [b"", b"\0\0\0\0", b"\0\0\0\0\1", b"\0\0\0\0\1\1\1\0\2\1", b"\0\0\0\0\xff\0\0\1\0\0\0"]
)
def test_a_structure_that_is_damaged_or_of_another_kind_is_none(block: bytes) -> None:
    assert read_structure(block) is None


def test_an_empty_index_has_no_levels() -> None:
    assert read_structure(bytes(7)) == Structure(0, ())


def test_a_segment_without_its_pages_is_not_read(index: Index) -> None:
    index.home.memory("m", content="tea")
    (segment,) = index.structure().levels[0].segments
    assert read_entries(index.home.connection, [replace(segment, last=2)]) is None
    assert read_entries(index.home.connection, [replace(segment, number=99)]) is None


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16_383, 16_384, 2**35, 2**56 - 1])
def test_integers_are_read_as_sqlite_writes_them(value: int) -> None:
    groups = [value >> 7 * place & 0x7F for place in range(8)]
    used = max([place for place, group in enumerate(groups) if group], default=0)
    block = bytes([*(group | 0x80 for group in groups[used:0:-1]), groups[0], 0xEE])
    assert varint(block, 0) == (value, used + 1)


def test_an_integer_of_nine_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="56 bits"):
        varint(b"\xff" * 9, 0)
    with pytest.raises(IndexError):
        varint(b"\xff", 0)


def test_pages_are_those_of_the_connections_own_snapshot(index: Index) -> None:
    index.home.memory("m", content="tea")
    reading = apsw.Connection(str(index.home.path), flags=apsw.SQLITE_OPEN_READONLY)
    reading.execute("BEGIN; SELECT 1 FROM memories")
    segments = index.structure().levels[0].segments
    entries = read_entries(reading, segments)
    for _ in range(40):
        index.write()
    assert read_entries(reading, segments) == entries
    assert read_entries(index.home.connection, segments) != entries
    reading.close()
