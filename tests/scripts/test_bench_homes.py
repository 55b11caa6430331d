"""Homes for benchmarks are sound, like a person's, and the same every time."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from parity_tests.harness import sqlite
from scripts.benchmark.homes.build import HomeSpec, build, kept_database
from scripts.benchmark.homes.meaning import meaning

SPEC = HomeSpec(600)
WORD = re.compile(r"\bdatabase\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite.Connection]:
    path = tmp_path_factory.mktemp("home") / "memories.db"
    build(SPEC, path)
    database = sqlite.open_database(path)
    yield database
    database.close()


def numbers(home: sqlite.Connection, *statements: str) -> list[int]:
    return [sqlite.scalar(home, statement) for statement in statements]


def digest(database: sqlite.Connection) -> str:
    tables = ("memories", "embeddings", "entities", "memory_entity_mentions", "relations", "entity_attributes")
    rows = [repr(row) for table in tables for row in database.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]  # noqa: S608  (names above)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def test_the_database_is_sound_and_its_word_index_fits_the_memories(home: sqlite.Connection) -> None:
    assert sqlite.scalar(home, "PRAGMA integrity_check") == "ok"
    home.execute("INSERT INTO memories_fts (memories_fts, rank) VALUES ('integrity-check', 1)")
    matching = sqlite.scalar(home, "SELECT count(*) FROM memories_fts WHERE memories_fts MATCH 'database'")
    containing = [text for (text,) in home.execute("SELECT content FROM memories") if WORD.search(text)]
    assert matching == len(containing) > 0


def test_every_memory_has_one_vector_in_both_tables(home: sqlite.Connection) -> None:
    joined = """SELECT count(*) FROM memories m JOIN embeddings e ON e.source_id = m.id AND e.source_type = 'memory'
                JOIN vec_embeddings v ON v.id = e.id WHERE v.embedding = e.vector AND e.content_hash = m.content_hash"""
    assert (
        numbers(
            home,
            "SELECT count(*) FROM memories",
            "SELECT count(*) FROM embeddings",
            "SELECT count(*) FROM vec_embeddings",
            joined,
        )
        == [SPEC.memories] * 4
    )


def test_the_nearest_vector_to_a_text_is_that_text_and_the_next_ones_are_of_its_topic(home: sqlite.Connection) -> None:
    text, own = next(
        iter(home.execute("SELECT chunk_text, id FROM embeddings WHERE length(chunk_text) > 120 ORDER BY id LIMIT 1"))
    )
    query = meaning(SPEC.seed).of([text])[0]
    assert abs(float(np.linalg.norm(query)) - 1) < 1e-5
    nearest = list(
        home.execute(
            "SELECT id, distance FROM vec_embeddings WHERE embedding MATCH ? AND k = 600 ORDER BY distance",
            (query.tobytes(),),
        )
    )
    distances = [distance for _, distance in nearest]
    assert nearest[0][0] == own
    assert distances[0] < 1e-5 < distances[1] < distances[300] - 0.2
    assert len(set(distances)) == len(distances)


def test_texts_look_like_notes_of_somebody_with_a_few_topics(home: sqlite.Connection) -> None:
    texts = [text for (text,) in home.execute("SELECT content FROM memories")]
    words = Counter(word for text in texts for word in text.lower().split())
    common = words.most_common()
    assert common[0][1] > 20 * common[len(common) // 4][1]
    assert len(words) > 1_500
    assert any(not text.isascii() for text in texts)
    assert any(len(text) > 500 for text in texts)
    groups = ("type", "who", "project", "tags", "source_type", "pinned", "is_deleted", "access_count")
    for column in groups:
        assert sqlite.scalar(home, f"SELECT count(DISTINCT {column}) FROM memories") > 1, column  # noqa: S608  (above)
    assert all(
        count > 100
        for count in numbers(
            home,
            "SELECT count(*) FROM entities",
            "SELECT count(*) FROM memory_entity_mentions",
            "SELECT count(*) FROM entity_attributes",
        )
    )


def test_the_same_seed_gives_the_same_rows_and_another_one_others(home: sqlite.Connection, tmp_path: Path) -> None:
    made = {}
    for seed in (SPEC.seed, SPEC.seed + 1):
        build(HomeSpec(SPEC.memories, seed), tmp_path / f"{seed}.db")
        database = sqlite.open_database(tmp_path / f"{seed}.db")
        made[seed] = digest(database)
        database.close()
    assert made[SPEC.seed] == digest(home) != made[SPEC.seed + 1]


def test_a_home_is_built_once_and_kept_until_the_code_changes(tmp_path: Path) -> None:
    outdated = tmp_path / "600-1-0123456789ab.db"
    outdated.touch()
    first = kept_database(HomeSpec(100), tmp_path)
    built_ns = first.stat().st_mtime_ns
    assert kept_database(HomeSpec(100), tmp_path) == first
    assert first.stat().st_mtime_ns == built_ns
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
