"""Distances as SQLite computes them, of vectors in memory or of stored ones that are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from native_routes.database import Connection, Query, read_pieces
from native_routes.searching.embedders import Vector
from native_routes.searching.vector_chunk import VECTORS, Chunk
from native_routes.searching.vector_form import VectorForm
from native_routes.searching.vector_matrix import Place, VectorMatrix

_FLOAT_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Stored:
    vector: bytes | None


DISTANCE: Final = "SELECT vec_distance_cosine(?, ?)"
# Legacy keeps every vector twice. A chunk is one blob of 3 MB, of which a piece takes 0.2 ms to reach; this takes 0.01.
STORED: Final = Query(
    """
    SELECT e.vector FROM json_each(:rowids) asked
    LEFT JOIN vec_embeddings_rowids r ON r.rowid = asked.value
    LEFT JOIN embeddings e ON e.id = r.id
    ORDER BY asked.key
    """,
    row=Stored,
)


def distances(connection: Connection, matrix: VectorMatrix, places: list[Place], vector: Vector) -> list[float]:
    """In the order of `places`."""
    query = vector.tobytes()
    found = _read(connection, matrix, places) if matrix.form is VectorForm.INT8 else _kept(matrix, places)
    return [float(row[0]) for row in connection.executemany(DISTANCE, [(other, query) for other in found])]


def _kept(matrix: VectorMatrix, places: list[Place]) -> Iterator[bytes]:
    for place in places:
        whole = matrix.chunk(place).whole
        assert whole is not None
        yield whole[place.offset].tobytes()


def _read(connection: Connection, matrix: VectorMatrix, places: list[Place]) -> Iterator[bytes]:
    copies = STORED.all(connection, rowids=json.dumps([matrix.rowid(place) for place in places]))
    for place, copy in zip(places, copies, strict=True):
        chunk = matrix.chunk(place)
        if copy.vector is not None and chunk.has(place.offset, copy.vector):
            yield copy.vector
        else:
            yield _piece(connection, chunk, place.offset)


def _piece(connection: Connection, chunk: Chunk, offset: int) -> bytes:
    length = chunk.dimensions * _FLOAT_BYTES
    return read_pieces(connection, VECTORS, "vectors", chunk.state.chunk_id, [offset * length], length)[0]
