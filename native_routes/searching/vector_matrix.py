"""The vectors of `vec_embeddings` in memory, laid out as sqlite-vec stores them, and which of them may be nearest.

A projection that can be thrown away at any time: SQLite holds the truth and computes every distance that counts.
Memory: dimensions x 4 bytes a vector, and 12 for its number and length, in chunks of 1,024 places.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from native_routes.database import Connection, Query

Floats = NDArray[np.float32]

# Legacy's tables of sqlite-vec 0.1: a chunk has places, a bit for each that is taken, and the rowid in each.
_FLOAT_BYTES: Final = 4
# OpenBLAS starts threads, which then wait in a loop, for products of more than 262,144 multiplications, and packs their
# operands first. Small blocks need neither: ten queries in one pass over 10,000 vectors took 1.9 ms of CPU, not 3.7.
_ROWS_AT_ONCE: Final = 16
# Beyond some ten thousand vectors a pass is worth a second processor: 14 ms for one query in 100,000, not 26.
_CHUNKS_APART: Final = 8
_PROCESSORS: Final = min(4, os.cpu_count() or 1)
_UNIT: Final = 2.0**-24  # rounding of one float32 operation


class LayoutError(Exception):
    """The tables are not laid out as expected; the message says how."""


@dataclass(frozen=True, slots=True)
class ChunkState:
    chunk_id: int
    validity: bytes  # bit i of byte i // 8, lowest first: place i is taken


@dataclass(frozen=True, slots=True)
class ChunkRowids:
    rowids: bytes  # int64 for each place


@dataclass(frozen=True, slots=True)
class ChunkVectors:
    vectors: bytes  # float32, place after place


@dataclass(frozen=True, slots=True)
class Highest:
    rowid: int | None


@dataclass(frozen=True, slots=True)
class ChunkId:
    chunk_id: int


CHUNK_STATES: Final = Query("SELECT chunk_id, validity FROM vec_embeddings_chunks ORDER BY chunk_id", row=ChunkState)
CHUNK_ROWIDS: Final = Query("SELECT rowids FROM vec_embeddings_chunks WHERE chunk_id = :chunk_id", row=ChunkRowids)
CHUNK_VECTORS: Final = Query(
    "SELECT vectors FROM vec_embeddings_vector_chunks00 WHERE rowid = :chunk_id", row=ChunkVectors
)
HIGHEST_ROWID: Final = Query("SELECT max(rowid) AS rowid FROM vec_embeddings_rowids", row=Highest)
# Where rows went since; a place that was freed and taken again keeps its bit, but not its rowid.
CHUNKS_WITH_NEWER: Final = Query(
    "SELECT DISTINCT chunk_id FROM vec_embeddings_rowids WHERE rowid > :rowid", row=ChunkId
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a vector is. sqlite-vec orders equal distances by chunk, and in one chunk the last place first."""

    chunk: int  # position in the order of chunks
    offset: int


class _Chunk:
    """The places of one chunk: `vectors` (places, dimensions), `inverse_norms` and `blocked` (places,)."""

    __slots__ = ("_finite", "blocked", "inverse_norms", "rowids", "validity", "vectors")

    def __init__(self, validity: bytes, rowids: bytes, vectors: bytes) -> None:
        places = len(validity) * 8
        if len(rowids) != places * 8 or len(vectors) % (places * _FLOAT_BYTES):
            raise LayoutError(f"a chunk of {places} places has {len(rowids)} and {len(vectors)} bytes")
        self.validity = validity
        self.rowids = np.frombuffer(rowids, dtype="<i8")
        self.vectors: Floats = np.frombuffer(vectors, dtype="<f4").reshape(places, -1)
        taken = np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little").astype(bool)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            squares = np.einsum("ij,ij->i", self.vectors, self.vectors)
            self._finite = bool(np.isfinite(squares).all())
            self.inverse_norms: Floats = np.where(taken, 1 / np.sqrt(squares), np.float32(0)).astype(np.float32)
        self.blocked: Floats = np.where(taken, np.float32(0), np.float32(-np.inf)).astype(np.float32)

    @property
    def orderly(self) -> bool:
        """Every vector has a direction: none is zero, infinite, or no number."""
        return self._finite and bool(
            np.isfinite(self.inverse_norms).all() and (self.inverse_norms[self.blocked == 0] > 0).all()
        )


class VectorMatrix:
    """All vectors of one database as of the last `follow`."""

    def __init__(self) -> None:
        self._chunks: dict[int, _Chunk] = {}  # by chunk id, ascending
        self._in_order: list[_Chunk] = []
        self._starts: NDArray[np.intp] = np.zeros(1, dtype=np.intp)  # first column of each chunk, and the end
        self._highest = 0
        self.orderly = True

    @property
    def nbytes(self) -> int:
        return sum(chunk.vectors.nbytes + chunk.rowids.nbytes + 8 * len(chunk.rowids) for chunk in self._in_order)

    @property
    def dimensions(self) -> int | None:
        """None while there is no vector."""
        return self._in_order[0].vectors.shape[1] if self._in_order else None

    def __len__(self) -> int:
        return sum(int(np.count_nonzero(chunk.blocked == 0)) for chunk in self._in_order)

    def follow(self, connection: Connection) -> None:
        """Take over what changed in the table: only chunks with new or removed rows are read. Raises LayoutError."""
        states = CHUNK_STATES.all(connection)
        highest = HIGHEST_ROWID.all(connection)[0].rowid or 0
        stale = {state.chunk_id for state in states if self._differs(state)}
        if highest != self._highest:
            newer = CHUNKS_WITH_NEWER.all(connection, rowid=min(highest, self._highest))
            stale |= {row.chunk_id for row in newer}
        gone = self._chunks.keys() - {state.chunk_id for state in states}
        if not stale and not gone:
            self._highest = highest
            return
        chunks = {
            state.chunk_id: _read_chunk(connection, state) if state.chunk_id in stale else self._chunks[state.chunk_id]
            for state in states
        }
        if len({chunk.vectors.shape[1] for chunk in chunks.values()}) > 1:
            raise LayoutError("chunks of different dimensions")
        self._chunks, self._in_order, self._highest = chunks, list(chunks.values()), highest
        self._starts = np.cumsum([0, *(len(chunk.rowids) for chunk in self._in_order)], dtype=np.intp)
        self.orderly = all(chunk.orderly for chunk in self._in_order)

    def _differs(self, state: ChunkState) -> bool:
        known = self._chunks.get(state.chunk_id)
        return known is None or known.validity != state.validity

    def similarities(self, queries: Floats) -> Floats:
        """Cosines, shape (queries, places of all chunks), -inf for a free place; from queries (queries, dimensions).

        One pass over the memory for all queries. Exact to `margin`.
        """
        directions = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        found = np.empty((len(queries), int(self._starts[-1])), dtype=np.float32)
        chunks = list(zip(self._in_order, pairwise(self._starts.tolist()), strict=True))
        parts = max(1, min(_PROCESSORS, len(chunks) // _CHUNKS_APART))
        others = [_helpers().submit(_pass, directions, chunks[part::parts], found) for part in range(1, parts)]
        _pass(directions, chunks[::parts], found)
        for other in others:
            other.result()
        return found

    @property
    def margin(self) -> float:
        """How far a cosine of `similarities` and sqlite-vec's can be apart: each rounds once for every dimension."""
        return 4 * (self.dimensions or 0) * _UNIT

    def places(self, columns: NDArray[np.intp]) -> list[Place]:
        """Where these columns of `similarities` lie."""
        chunks = np.searchsorted(self._starts, columns, side="right") - 1
        offsets = columns - self._starts[chunks]
        return [Place(*pair) for pair in zip(chunks.tolist(), offsets.tolist(), strict=True)]

    def rowid(self, place: Place) -> int:
        return int(self._in_order[place.chunk].rowids[place.offset])

    def blob(self, place: Place) -> bytes:
        vector: bytes = self._in_order[place.chunk].vectors[place.offset].tobytes()
        return vector


def _pass(directions: Floats, chunks: list[tuple[_Chunk, tuple[int, int]]], found: Floats) -> None:
    """Write the cosines of some chunks into their columns of `found`. numpy lets other threads run meanwhile."""
    for chunk, (start, end) in chunks:
        blocks = chunk.vectors.reshape(-1, _ROWS_AT_ONCE, chunk.vectors.shape[1])
        cosines = np.matmul(directions, blocks.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(len(directions), -1)
        np.multiply(cosines, chunk.inverse_norms, out=found[:, start:end])
        found[:, start:end] += chunk.blocked


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_PROCESSORS, "vectors")


def shortlist(similarities: Floats, count: int, margin: float) -> NDArray[np.intp]:
    """Columns that can be among the `count` highest when each value is off by at most `margin`; in no order."""
    if count <= 0:
        return np.empty(0, dtype=np.intp)
    if count >= len(similarities):
        return np.flatnonzero(similarities > -np.inf)
    lowest = np.partition(similarities, len(similarities) - count)[len(similarities) - count]
    return np.flatnonzero((similarities >= lowest - 2 * margin) & (similarities > -np.inf))


def _read_chunk(connection: Connection, state: ChunkState) -> _Chunk:
    rowids = CHUNK_ROWIDS.one(connection, chunk_id=state.chunk_id)
    vectors = CHUNK_VECTORS.one(connection, chunk_id=state.chunk_id)
    if rowids is None or vectors is None:
        raise LayoutError(f"chunk {state.chunk_id} has no vectors")
    return _Chunk(state.validity, rowids.rowids, vectors.vectors)
