"""Mentions in memory against what SQLite says of the same moment, through every way in which rows come and go."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from native_routes.recall import mentions
from native_routes.recall.mentions import LINKED, RATIONALES_SHOWN, KnownMentions
from tests.native_routes.home_database import HomeDatabase

LINKED_ROWS = """
    SELECT m.rowid FROM memories m WHERE m.is_deleted = 0 AND m.id IN (
      SELECT memory_id FROM memory_entity_mentions WHERE entity_id IN (SELECT value FROM json_each(?)))
    ORDER BY m.rowid LIMIT ?
"""
RATIONALE_ROWS = LINKED_ROWS.replace("m.is_deleted = 0", "m.is_deleted = 0 AND m.type = 'rationale'")
ENTITIES = ("tea", "coffee", "milk", "water")


class Mentioned:
    """A home, and mentions as another connection knows them."""

    def __init__(self, path: Path) -> None:
        self.home = HomeDatabase(path)
        self.reading = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        self.known = KnownMentions()
        self.made = 0

    def memory(self, *entities: str, **columns: object) -> str:
        self.made += 1
        name = f"m{self.made}"
        self.home.memory(name, content_hash=name, **columns)
        for entity in entities:
            self.mention(name, entity)
        return name

    def mention(self, memory: str, entity: str) -> None:
        self.made += 1
        columns = {"memory_id": memory, "entity_id": entity, "created_at": f"2026-01-01T00:00:00.{self.made:09}Z"}
        self.home.row("memory_entity_mentions", columns)

    def purge(self, memory: str) -> None:
        self.home.execute("DELETE FROM memory_entity_mentions WHERE memory_id = ?", (memory,))
        self.home.execute("DELETE FROM memories WHERE id = ?", (memory,))

    def agrees(self) -> bool:
        """Whether every question is answered as SQLite would, for one entity and for several."""
        return all(self._agrees(chosen) for chosen in (*((entity,) for entity in ENTITIES), ENTITIES, ENTITIES[:2]))

    def _agrees(self, entities: tuple[str, ...]) -> bool:
        names = "[" + ",".join(f'"{entity}"' for entity in entities) + "]"
        linked = [row[0] for row in self.home.execute(LINKED_ROWS, (names, LINKED))]
        rationales = [row[0] for row in self.home.execute(RATIONALE_ROWS, (names, RATIONALES_SHOWN))]
        assert self.known.linked(self.reading, entities).tolist() == linked
        assert self.known.rationales(self.reading, entities).tolist() == rationales
        return True

    def close(self) -> None:
        self.reading.close()
        self.home.close()


@pytest.fixture
def mentioned(tmp_path: Path) -> Iterator[Mentioned]:
    made = Mentioned(tmp_path / "memories.db")
    yield made
    made.close()


@pytest.fixture
def read_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From which mention on rows were read, time by time."""
    begun: list[int] = []
    add = KnownMentions._add

    def noted(self: KnownMentions, connection: apsw.Connection) -> None:
        begun.append(self._mentions.highest)
        add(self, connection)

    monkeypatch.setattr(KnownMentions, "_add", noted)
    return begun


def test_nothing_is_linked_in_an_empty_home(mentioned: Mentioned) -> None:
    assert mentioned.agrees()
    assert mentioned.known.linked(mentioned.reading, []).tolist() == []


def test_only_the_first_live_memories_are_linked(mentioned: Mentioned) -> None:
    for number in range(LINKED + 50):
        mentioned.memory("tea", is_deleted=int(number % 7 == 0), type="rationale" if number % 3 else "fact")
    mentioned.memory("milk", is_deleted=-1)
    mentioned.memory("milk", is_deleted=None)

    assert mentioned.agrees()
    assert len(mentioned.known.linked(mentioned.reading, ["tea"])) == LINKED


def test_new_mentions_are_read_without_reading_the_old_ones_again(mentioned: Mentioned, read_rows: list[int]) -> None:
    old = mentioned.memory("tea", "milk")
    assert mentioned.agrees()
    mentioned.memory("tea")
    mentioned.mention(old, "coffee")
    assert mentioned.agrees()
    mentioned.memory()  # no mention: nothing to read
    assert mentioned.agrees()

    assert read_rows == [0, 2]


def test_a_deletion_restored_and_a_type_changed_are_seen(mentioned: Mentioned) -> None:
    one = mentioned.memory("tea")
    assert mentioned.agrees()
    for change in ("is_deleted = 1", "is_deleted = 0", "type = 'rationale'", "is_deleted = 1", "is_deleted = 0"):
        mentioned.home.execute(f"UPDATE memories SET {change} WHERE id = ?", (one,))  # noqa: S608
        assert mentioned.agrees()


def test_a_row_number_that_is_used_again_is_noticed(mentioned: Mentioned) -> None:
    """SQLite gives the number of a deleted newest row to the next one; counts and numbers are then as they were."""
    one, two = mentioned.memory("tea"), mentioned.memory("coffee")
    assert mentioned.agrees()
    mentioned.home.execute("DELETE FROM memory_entity_mentions WHERE memory_id = ?", (two,))
    mentioned.mention(one, "coffee")
    assert mentioned.agrees()
    mentioned.home.execute("DELETE FROM memory_entity_mentions WHERE memory_id = ?", (one,))
    mentioned.home.execute("DELETE FROM memories WHERE id = ?", (two,))
    mentioned.memory("milk")
    assert mentioned.agrees()


def test_a_purged_memory_is_gone_also_when_its_mention_stays(mentioned: Mentioned) -> None:
    mentioned.memory("tea")
    two = mentioned.memory("tea")
    assert mentioned.agrees()
    mentioned.home.execute("DELETE FROM memories WHERE id = ?", (two,))
    assert mentioned.agrees()
    mentioned.memory("milk")  # takes the purged one's row number
    assert mentioned.agrees()


def test_a_mention_that_is_older_than_its_memory_counts_from_then_on(mentioned: Mentioned) -> None:
    mentioned.mention("later", "tea")
    mentioned.memory("milk")
    assert mentioned.agrees()
    mentioned.home.memory("later", content_hash="later")
    assert mentioned.agrees()
    assert len(mentioned.known.linked(mentioned.reading, ["tea"])) == 1


def test_an_older_database_that_was_copied_into_this_one_is_read_anew(mentioned: Mentioned) -> None:
    """It then goes another way, on which its tables look as they did."""
    names = [mentioned.memory("tea") for _ in range(10)]
    older = mentioned.home.copy()
    mentioned.purge(names[3])
    assert mentioned.agrees()
    mentioned.home.become(older)
    mentioned.purge(names[5])
    assert mentioned.agrees()


def test_any_run_of_changes_leaves_both_alike(mentioned: Mentioned) -> None:
    rng = random.Random(5)
    for _ in range(300):
        change = rng.randrange(6)
        names = [row[0] for row in mentioned.home.execute("SELECT id FROM memories")]
        if change <= 1 or not names:
            kind = rng.choice(("fact", "rationale"))
            mentioned.memory(*rng.sample(ENTITIES, rng.randrange(4)), type=kind, is_deleted=rng.randrange(2))
        elif change == 2:
            mentioned.home.execute("DELETE FROM memory_entity_mentions WHERE memory_id = ?", (rng.choice(names),))
        elif change == 3:
            mentioned.home.execute("DELETE FROM memories WHERE id = ?", (rng.choice((names[-1], rng.choice(names))),))
        elif change == 4:
            mentioned.home.execute("UPDATE memories SET is_deleted = 1 - is_deleted WHERE id = ?", (rng.choice(names),))
        else:
            newest = mentioned.home.execute("SELECT max(rowid) FROM memory_entity_mentions")[0][0]
            mentioned.home.execute("DELETE FROM memory_entity_mentions WHERE rowid = ?", (newest,))
        if rng.random() < 0.5:  # else several changes are seen at once
            assert mentioned.agrees()
    assert mentioned.agrees()


def test_the_test_would_see_stale_rows(mentioned: Mentioned, monkeypatch: pytest.MonkeyPatch) -> None:
    one = mentioned.memory("tea")
    assert mentioned.agrees()
    monkeypatch.setattr(mentions.KnownMentions, "_goes_on", lambda *_: True)
    mentioned.home.execute("DELETE FROM memory_entity_mentions WHERE memory_id = ?", (one,))
    with pytest.raises(AssertionError):
        mentioned.agrees()
