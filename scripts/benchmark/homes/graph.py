"""What hangs on the memories: entities, their mentions and relations, aspects with attributes, dependencies."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from parity_tests.harness.names import iso_time
from parity_tests.harness.sqlite import Connection
from scripts.benchmark.homes.corpus import BASE_S, Memory, seeded_uuid
from scripts.benchmark.homes.vocabulary import PEOPLE, PROJECTS, TOPIC_WORDS

AT: Final = iso_time(BASE_S)
PINNED: Final = frozenset(PROJECTS[:2])  # always in focus when something is recalled
MOST_MENTIONS: Final = 3  # of entities by one memory
KINDS: Final = {"person": PEOPLE, "project": PROJECTS, "concept": tuple(" ".join(TOPIC_WORDS).split())}


@dataclass(slots=True)
class Graph:
    """Sees every memory once, then writes what it has seen."""

    seed: int
    entities: dict[str, tuple[str, str]] = field(default_factory=dict)  # lower-case name -> (name, kind)
    mentions: list[tuple[str, str]] = field(default_factory=list)  # (memory id, lower-case name)
    of_entity: dict[str, list[str]] = field(default_factory=dict)  # lower-case name -> memory ids, the first hundreds

    def __post_init__(self) -> None:
        for kind, names in KINDS.items():
            for name in names:
                self.entities.setdefault(name.lower(), (name if kind == "person" else name.title(), kind))

    def see(self, memory: Memory) -> None:
        """Two of five memories went through extraction."""
        if int(memory.content_hash[:4], 16) % 5 > 1:
            return
        named = [word for word in dict.fromkeys(memory.content.lower().split()) if word in self.entities]
        for name in named[:MOST_MENTIONS]:
            self.mentions.append((memory.id, name))
            known = self.of_entity.setdefault(name, [])
            if len(known) < 300:
                known.append(memory.id)

    def write(self, database: Connection) -> None:
        rng = random.Random(f"graph {self.seed}")
        counts = dict.fromkeys(self.entities, 0)
        for _, name in self.mentions:
            counts[name] += 1
        database.executemany(
            "INSERT INTO entities (id, name, entity_type, canonical_name, mentions, pinned, pinned_at, created_at,"
            " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (_entity(key), name, kind, key, counts[key], int(key in PINNED), AT if key in PINNED else None, AT, AT)
                for key, (name, kind) in self.entities.items()
            ),
        )
        database.executemany(
            "INSERT INTO memory_entity_mentions (memory_id, entity_id, mention_text, confidence, created_at)"
            " VALUES (?, ?, ?, 0.9, ?)",
            ((memory_id, _entity(name), name, AT) for memory_id, name in self.mentions),
        )
        self._link(database, rng)
        self._describe(database, rng)

    def _link(self, database: Connection, rng: random.Random) -> None:
        names = list(self.entities)
        pairs = [(name, other) for name in names for other in rng.sample(names, 4) if other != name]
        database.executemany(
            "INSERT INTO relations (id, source_entity_id, target_entity_id, relation_type, strength, created_at)"
            " VALUES (?, ?, ?, 'relates_to', ?, ?)",
            ((seeded_uuid("relation", a, b), _entity(a), _entity(b), _share(rng), AT) for a, b in pairs),
        )
        database.executemany(
            "INSERT INTO entity_dependencies (id, source_entity_id, target_entity_id, dependency_type, strength,"
            " created_at, updated_at) VALUES (?, ?, ?, 'uses', ?, ?, ?)",
            ((seeded_uuid("uses", a, b), _entity(a), _entity(b), _share(rng), AT, AT) for a, b in pairs[::2]),
        )

    def _describe(self, database: Connection, rng: random.Random) -> None:
        """Two aspects with five attributes each, for entities that memories speak of."""
        aspects, attributes = [], []
        for name, known in self.of_entity.items():
            for aspect in ("overview", "history"):
                aspect_id = seeded_uuid("aspect", name, aspect)
                aspects.append((aspect_id, _entity(name), aspect.title(), aspect, _share(rng), AT, AT))
                attributes += [
                    (seeded_uuid(aspect_id, place), aspect_id, memory_id, "attribute" if place else "constraint",
                     f"{name} {aspect} {place}", f"{name} {aspect} {place}", _share(rng), AT, AT)
                    for place, memory_id in enumerate(rng.sample(known, min(5, len(known))))
                ]  # fmt: skip
        database.executemany(
            "INSERT INTO entity_aspects (id, entity_id, name, canonical_name, weight, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            aspects,
        )
        database.executemany(
            "INSERT INTO entity_attributes (id, aspect_id, memory_id, kind, content, normalized_content, importance,"
            " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            attributes,
        )


def see_all(graph: Graph, memories: Iterable[Memory]) -> None:
    for memory in memories:
        graph.see(memory)


def _entity(name: str) -> str:
    return seeded_uuid("entity", name)


def _share(rng: random.Random) -> float:
    return round(rng.uniform(0.2, 1.0), 3)
