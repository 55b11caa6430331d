"""The vectors of memories: rows of `embeddings` and their twins in the vec0 table `vec_embeddings`.

Without sqlite-vec, or for a vector of another length than the vec0 table has, there is no twin, and nobody is told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from native_routes.database import Connection, ConstraintViolated, StatementError, translated
from native_routes.query import Command, Insertion, Query


@dataclass(frozen=True, slots=True)
class EmbeddingId:
    id: Any


FORGET_PROJECTIONS: Final = Command("DELETE FROM umap_cache")
EMBEDDINGS_OF: Final = Query(
    "SELECT id FROM embeddings WHERE source_type = :source_type AND source_id = :source_id", row=EmbeddingId
)
OTHER_EMBEDDINGS_OF: Final = Query(
    """
    SELECT id FROM embeddings
    WHERE source_type = :source_type AND source_id = :source_id AND content_hash <> :content_hash
    """,
    row=EmbeddingId,
)
UNINDEX: Final = Command("DELETE FROM vec_embeddings WHERE id = :id")
INDEX: Final = Insertion("INSERT OR REPLACE INTO vec_embeddings (id, embedding) VALUES (:id, :embedding)")


def index_vector(connection: Connection, embedding_id: str, vector: bytes) -> None:
    """Make a vector of 32-bit floats findable."""
    index_vectors(connection, [{"id": embedding_id, "embedding": vector}])


def index_vectors(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """The same for many: `id` and `embedding` of each. One that the table refuses keeps none of the others out."""
    _forget_projections(connection)
    try:
        with translated():
            INDEX.run_all(connection, rows)
    except (StatementError, ConstraintViolated):
        for row in rows if len(rows) > 1 else ():
            with _unless_unindexed():
                INDEX.run(connection, **row)


def unindex_vectors(connection: Connection, source_type: str, source_id: str) -> None:
    """Make the vectors of a source not to be found; to be called before its `embeddings` go."""
    _forget_projections(connection)
    with _unless_unindexed():
        for embedding in EMBEDDINGS_OF.all(connection, source_type=source_type, source_id=source_id):
            UNINDEX.run(connection, id=embedding.id)


def unindex_other_vectors(connection: Connection, source_type: str, source_id: str, content_hash: str) -> None:
    """The same, but for the vector of this content."""
    _forget_projections(connection)
    with _unless_unindexed():
        others = OTHER_EMBEDDINGS_OF.all(
            connection, source_type=source_type, source_id=source_id, content_hash=content_hash
        )
        for embedding in others:
            UNINDEX.run(connection, id=embedding.id)


def _forget_projections(connection: Connection) -> None:
    """The picture of all vectors, which the dashboard shows, is made anew."""
    with _unless_unindexed():
        FORGET_PROJECTIONS.run(connection)


@contextlib.contextmanager
def _unless_unindexed() -> Iterator[None]:
    """A full disk, say, is raised all the same."""
    with contextlib.suppress(StatementError, ConstraintViolated), translated():
        yield
