"""What is kept of memories behind entities against asking anew, while another program changes the tables."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from native_routes.recall import attributes
from native_routes.recall.attributes import KnownAttributes
from native_routes.recall.queries import ATTRIBUTES_ADDED, BEHIND_ENTITIES
from tests.native_routes.home_database import HomeDatabase

ENTITIES = ("tea", "coffee", "milk")
WORTH = """
    SELECT m.id, COALESCE(
      (SELECT MAX(importance) FROM entity_attributes
       WHERE memory_id = m.id AND agent_id = 'default' AND status = 'active'), m.importance, 0.5)
    FROM memories m WHERE m.is_deleted = 0 AND m.id IN (SELECT value FROM json_each(?))
"""
WHEN = "2026-01-01T00:00:00.000Z"

CHANGES = (
    "SELECT 1",
    "UPDATE entity_attributes SET status = 'superseded', importance = :number WHERE rowid = :rowid",
    "UPDATE entity_attributes SET status = 'active', importance = :number WHERE rowid = :rowid",
    "UPDATE entity_attributes SET aspect_id = 'aspect-1', importance = :number WHERE rowid = :rowid",
    "DELETE FROM entity_attributes WHERE rowid = :rowid",
    "DELETE FROM entity_attributes WHERE rowid >= (SELECT max(rowid) - 1 FROM entity_attributes)",
)


class Known:
    """A home with aspects and attributes, and what another connection knows of it."""

    def __init__(self, path: Path) -> None:
        self.home = HomeDatabase(path)
        self.reading = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        self.kept = KnownAttributes()
        self.made = 0
        for name in ENTITIES:
            self.aspect(name)

    def aspect(self, entity: str, weight: float = 0.5) -> str:
        self.made += 1
        name = f"aspect-{self.made}"
        columns = {"id": name, "entity_id": entity, "agent_id": "default", "name": name, "canonical_name": name}
        self.home.row("entity_aspects", {**columns, "weight": weight, "created_at": WHEN, "updated_at": WHEN})
        return name

    def attribute(self, aspect: str, memory: str, importance: Any = 0.5, **columns: Any) -> None:
        self.made += 1
        name = f"attribute-{self.made}"
        row: dict[str, Any] = {
            "id": name,
            "aspect_id": aspect,
            "agent_id": "default",
            "memory_id": memory,
            "kind": "attribute",
        }
        row |= {"content": name, "normalized_content": name, "confidence": 1, "importance": importance}
        self.home.row(
            "entity_attributes", {**row, "status": "active", "created_at": WHEN, "updated_at": WHEN} | columns
        )

    def behind(self, *entities: str, aspects: int = 10, attributes: int = 20) -> list[str]:
        return self.kept.memories(self.reading, entities, "default", aspects, attributes)

    def agrees(self, *entities: str) -> bool:
        """Whether the kept answers are those of a connection that keeps nothing."""
        names = "[" + ",".join(f'"{entity}"' for entity in entities) + "]"
        rows = BEHIND_ENTITIES.all(self.home.connection, entities=names, agent="default", aspects=10, attributes=20)
        memories = list(dict.fromkeys(row.memory_id for row in rows))
        assert self.behind(*entities) == memories
        ids = "[" + ",".join(f'"{memory}"' for memory in memories) + "]"
        assert dict(self.kept.importance(self.reading, memories, "default")) == dict(self.home.execute(WORTH, (ids,)))
        return True

    def close(self) -> None:
        self.reading.close()
        self.home.close()


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Known]:
    made = Known(tmp_path / "memories.db")
    yield made
    made.close()


def test_a_memory_behind_several_attributes_comes_once(known: Known) -> None:
    aspect = {name: known.aspect(name, weight) for name, weight in (("tea", 0.9), ("milk", 0.1))}
    known.attribute(aspect["milk"], "both")
    known.attribute(aspect["tea"], "low", 0.1)
    known.attribute(aspect["tea"], "both", 0.9)
    known.attribute(aspect["tea"], "gone", 1, status="superseded")

    assert sorted(known.behind("tea", "milk")) == ["both", "low"]
    assert sorted(known.behind("milk", "tea")) == ["both", "low"]
    assert known.behind("tea", attributes=1) == ["both"]  # another limit is another question


def test_the_best_attribute_counts_then_the_memorys_own_importance_then_a_half(known: Known) -> None:
    aspect = known.aspect("tea")
    for name, importance in (("a", 0.3), ("b", 0.8), ("c", None)):
        known.home.memory(name, content_hash=name, importance=importance)
    known.home.memory("dead", content_hash="dead", is_deleted=1)
    known.attribute(aspect, "a", 0.4)
    known.attribute(aspect, "a", 0.6)

    found = known.kept.importance(known.reading, ["c", "b", "a", "dead", "missing"], "default")

    assert found == [("a", 0.6), ("b", 0.8), ("c", 0.5)]


def test_what_another_program_commits_is_seen_at_the_next_question(known: Known) -> None:
    rng = random.Random(3)
    for number in range(60):
        name = f"m{number}"
        known.home.memory(name, content_hash=name, importance=rng.random())
        for _ in range(rng.randint(1, 3)):
            known.attribute(f"aspect-{rng.randint(1, 3)}", f"m{rng.randint(0, number)}", rng.random())
        if number % 3 == 0:
            known.home.execute("UPDATE memories SET is_deleted = 1 WHERE id = ?", (f"m{rng.randint(0, number)}",))
        known.home.execute(rng.choice(CHANGES), {"rowid": rng.randint(1, 2 * number + 1), "number": rng.random()})
        assert known.agrees(*rng.sample(ENTITIES, rng.randint(1, 3)))


def test_an_older_database_that_was_copied_into_this_one_is_read_anew(known: Known) -> None:
    """It then goes another way, on which its table looks as it did."""
    for number in range(6):
        known.home.memory(f"m{number}", content_hash=f"m{number}", importance=0.1)
        known.attribute("aspect-1", f"m{number}", 0.9)
    older = known.home.copy()
    known.home.execute("DELETE FROM entity_attributes WHERE memory_id = 'm2'")
    assert known.agrees("tea")
    known.home.become(older)
    known.home.execute("DELETE FROM entity_attributes WHERE memory_id = 'm3'")
    assert known.agrees("tea")


def test_nothing_is_asked_twice_while_nobody_commits(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    known.home.memory("m", content_hash="m")
    known.attribute("aspect-1", "m")
    assert known.agrees("tea", "milk")

    monkeypatch.setattr(attributes, "BEHIND_ENTITIES", None)
    monkeypatch.setattr(attributes, "BEST_ATTRIBUTES", None)
    monkeypatch.setattr(attributes, "LIVE", None)

    assert known.behind("milk", "tea") == ["m"]
    assert known.kept.importance(known.reading, ["m"], "default") == [("m", 0.5)]


def test_of_a_table_that_has_grown_only_the_new_rows_are_read(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    read = ATTRIBUTES_ADDED.all

    class Noted:
        def all(self, connection: apsw.Connection, rowid: int) -> list[Any]:
            begun.append(rowid)
            return read(connection, rowid=rowid)

    monkeypatch.setattr(attributes, "ATTRIBUTES_ADDED", Noted())
    known.home.memory("m", content_hash="m")
    for importance in (0.1, 0.7, 0.3):
        known.attribute("aspect-1", "m", importance)
        assert known.agrees("tea")
    known.home.execute("UPDATE entity_attributes SET status = 'deleted' WHERE importance = 0.7")
    assert known.agrees("tea")
    known.home.execute("DELETE FROM entity_attributes WHERE importance = 0.7")
    assert known.agrees("tea")

    assert begun == [0, 1, 2, 0]


def test_no_more_is_kept_than_fits(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "MOST_KEPT", 10)
    for number in range(100):
        known.kept.importance(known.reading, [f"m{number}"], "default")

    assert len(known.kept._importance) <= 11
