"""Builds a database at schema 30 and keeps it: the same seed, size and code always give the same rows.

A kept home is never given to a daemon, only copies of it; nobody has it open after it was built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

from parity_tests.harness import sqlite
from parity_tests.harness.homes import build as harness_homes
from proxy.settings import process_environment
from scripts.benchmark.homes import corpus, graph, meaning, vocabulary
from scripts.benchmark.homes.corpus import Memory, seeded_uuid
from scripts.benchmark.homes.meaning import Vectors

SEED: Final = 1
_COLUMNS: Final = tuple(field.name for field in fields(Memory))
_INSERT_MEMORY: Final = (
    f"INSERT INTO memories ({', '.join(_COLUMNS)}, updated_at, updated_by, embedding_model)"  # noqa: S608  (names of our fields)
    f" VALUES ({', '.join('?' * len(_COLUMNS))}, ?, ?, 'bench')"
)
_INSERT_EMBEDDING: Final = (
    "INSERT INTO embeddings (id, content_hash, vector, dimensions, source_type, source_id, chunk_text, created_at)"
    " VALUES (?, ?, ?, 768, 'memory', ?, ?, ?)"
)
_INSERT_VECTOR: Final = "INSERT INTO vec_embeddings (id, embedding) VALUES (?, ?)"


@dataclass(frozen=True, slots=True)
class HomeSpec:
    """`plain`: no entities, so that words and vectors alone are searched, as before the first extraction."""

    memories: int
    seed: int = SEED
    plain: bool = False

    @property
    def name(self) -> str:
        return f"{'plain-' if self.plain else ''}{self.memories}-{self.seed}-{_code_version()}"


def kept_database(spec: HomeSpec, cache_path: Path | None = None) -> Path:
    """The database file of `spec`, built first when it is not kept yet: some 25 s and 0.75 GB for 100,000 memories."""
    folder = cache_path or default_cache_path()
    path = folder / f"{spec.name}.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _remove_outdated(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix="building-") as building:
            build(spec, Path(building) / "memories.db")
            os.replace(Path(building) / "memories.db", path)
    return path


def default_cache_path() -> Path:
    """The user's cache folder; never inside the repository."""
    environment = process_environment()
    base = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or tempfile.gettempdir()) / ".cache")
    return Path(base) / "signet-proxy-bench"


def put_into(spec: HomeSpec, home_path: Path, cache_path: Path | None = None) -> None:
    """A copy of the kept database as the home's own, with nothing beside it."""
    (home_path / "memory").mkdir(parents=True, exist_ok=True)
    (home_path / ".daemon" / "logs").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept_database(spec, cache_path), home_path / "memory" / "memories.db")


def build(spec: HomeSpec, path: Path) -> None:
    """Write the database; FTS is filled by the schema's own triggers, vectors as the daemon writes them."""
    database = sqlite.open_database(path)
    # A file that is thrown away when anything goes wrong needs no journal.
    database.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -131072")
    database.execute(harness_homes.SCHEMA_PATH.read_text())
    of_words = meaning.meaning(spec.seed)
    knowledge = graph.Graph(spec.seed)
    database.execute("BEGIN")
    for portion in corpus.memories(spec.seed, spec.memories):
        graph.see_all(knowledge, portion)
        insert(database, portion, of_words.of([memory.content for memory in portion]))
    if not spec.plain:
        knowledge.write(database)
    database.execute("COMMIT")
    database.execute("PRAGMA journal_mode = WAL")
    database.close()


def insert(database: sqlite.Connection, portion: Sequence[Memory], vectors: Vectors) -> None:
    """Rows of memories and of their vectors, shape (memories, 768), in the caller's transaction."""
    database.executemany(_INSERT_MEMORY, ((*astuple(memory), memory.created_at, memory.who) for memory in portion))
    rows = [
        (seeded_uuid("embedding", memory.id), memory, vector.tobytes())
        for memory, vector in zip(portion, vectors, strict=True)
    ]
    database.executemany(
        _INSERT_EMBEDDING,
        (
            (embedding_id, memory.content_hash, blob, memory.id, memory.content, memory.created_at)
            for embedding_id, memory, blob in rows
        ),
    )
    database.executemany(_INSERT_VECTOR, ((embedding_id, blob) for embedding_id, _, blob in rows))


def _code_version() -> str:
    """Changes with whatever decides what is in a home."""
    digest = hashlib.sha256()
    for module in (vocabulary, meaning, corpus, graph):
        digest.update(Path(module.__file__ or "").read_bytes())
    digest.update(Path(__file__).read_bytes() + harness_homes.SCHEMA_PATH.read_bytes())
    return digest.hexdigest()[:12]


def _remove_outdated(folder: Path) -> None:
    """Homes of other code than this; they are big, and nobody will ask for them again."""
    for path in folder.glob("*.db"):
        if not path.stem.endswith(_code_version()):
            path.unlink(missing_ok=True)
