"""A home whose memories have vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.native_routes.home_database import HomeDatabase

DIMENSIONS = 768
Vector = np.ndarray[Any, np.dtype[np.float32]]


class VectorHome(HomeDatabase):
    """Random vectors, the same in every run."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.random = np.random.default_rng(7)
        self.added = 0

    def vector(self) -> Vector:
        return self.random.standard_normal(DIMENSIONS).astype(np.float32)

    def add(self, count: int, *, of: int | None = None, type_: str = "fact") -> list[str]:
        """`count` memories with vectors, of only `of` different ones when given."""
        choice = [self.vector() for _ in range(of)] if of else []
        names = []
        self.execute("BEGIN")
        for _ in range(count):
            self.added += 1
            name = f"m{self.added}"
            vector = choice[self.random.integers(len(choice))] if choice else self.vector()
            self.memory(name, type=type_)
            self.embedding(f"e{self.added}", name, vector)
            names.append(name)
        self.execute("COMMIT")
        return names

    def embedding(self, id: str, memory_id: str, vector: Vector) -> None:
        blob = vector.tobytes()
        columns = {"id": id, "content_hash": id, "vector": blob, "dimensions": len(vector), "source_type": "memory"}
        self.row("embeddings", {**columns, "source_id": memory_id, "chunk_text": "", "created_at": ""})
        self.execute("INSERT INTO vec_embeddings (id, embedding) VALUES (?, ?)", (id, blob))

    def sqlite_vec(self, vector: Vector, count: int, type_: str | None = None) -> list[tuple[str, float]]:
        """What sqlite-vec itself finds: memories and distances, nearest first."""
        condition = "" if type_ is None else "AND m.type = 'decision'"
        return self.execute(
            "SELECT e.source_id, v.distance FROM vec_embeddings v JOIN embeddings e ON v.id = e.id"  # noqa: S608
            " JOIN memories m ON e.source_id = m.id"
            f" WHERE v.embedding MATCH ? AND k = ? {condition} ORDER BY v.distance",
            (vector.tobytes(), count),
        )
