"""One chunk of `vec_embeddings`: sqlite-vec 0.1 stores vectors in chunks of places, 1,024 as a rule.

A chunk has a bit for each place that is taken, the rowid in each, and the vectors, place after place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from native_routes.database import Connection, Query, StatementError, read_pieces, translated
from native_routes.searching.vector_codes import Codes, Floats, Places
from native_routes.searching.vector_form import VectorForm

_FLOAT_BYTES: Final = 4
ROWS_APART: Final = 16  # number of places is a multiple of it
FEW: Final = 50  # new vectors that are read one by one: each takes a hundredth of the time that all of a chunk take


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


CHUNK_STATES: Final = Query("SELECT chunk_id, validity FROM vec_embeddings_chunks ORDER BY chunk_id", row=ChunkState)
CHUNK_ROWIDS: Final = Query("SELECT rowids FROM vec_embeddings_chunks WHERE chunk_id = :chunk_id", row=ChunkRowids)
VECTORS: Final = "vec_embeddings_vector_chunks00"
CHUNK_VECTORS: Final = Query(f"SELECT vectors FROM {VECTORS} WHERE rowid = :chunk_id", row=ChunkVectors)  # noqa: S608


class Chunk:
    """The places of one chunk as they are in memory; `whole` or `digests` by form."""

    __slots__ = ("codes", "digests", "free", "rowids", "state", "whole")

    def __init__(self, state: ChunkState, rowids: bytes, vectors: bytes, form: VectorForm) -> None:
        places = len(state.validity) * 8
        if len(rowids) != places * 8 or len(vectors) % (places * _FLOAT_BYTES) or places % ROWS_APART:
            raise LayoutError(f"a chunk of {places} places has {len(rowids)} and {len(vectors)} bytes")
        floats: Floats = np.frombuffer(vectors, dtype="<f4").reshape(places, -1)
        self.codes = Codes(*floats.shape)
        self.whole: Floats | None = floats.copy() if form is VectorForm.FLOAT32 else None
        self.digests: NDArray[np.int64] | None = None if self.whole is not None else np.zeros(places, dtype=np.int64)
        self._has(state, np.frombuffer(rowids, dtype="<i8"))
        taken = np.flatnonzero(_taken(state))
        self._make(taken, floats[taken])

    def _has(self, state: ChunkState, rowids: NDArray[np.int64]) -> None:
        self.state = state
        self.rowids = rowids
        self.free = np.flatnonzero(~_taken(state))

    def _make(self, places: Places, vectors: Floats) -> None:
        self.codes.make(places, vectors)
        if self.digests is not None:
            self.digests[places] = [_digest(vector.tobytes()) for vector in vectors]

    def new_places(self, state: ChunkState, rowids: NDArray[np.int64]) -> Places:
        """Those whose vector is not known. A place that was freed and taken again has another rowid."""
        return np.flatnonzero(_taken(state) & ~(_taken(self.state) & (rowids == self.rowids)))

    def take_over(self, state: ChunkState, rowids: NDArray[np.int64], places: Places, vectors: Floats) -> None:
        """What is there now: the vectors at the new places, and everywhere else what was there or nothing."""
        if self.whole is not None:
            self.whole[places] = vectors
        self._make(places, vectors)
        self._has(state, rowids)
        self.codes.forget(self.free)

    def has(self, offset: int, vector: bytes) -> bool:
        """Whether this is the vector at that place, which is not in memory."""
        return self.digests is not None and bool(self.digests[offset] == _digest(vector))

    @property
    def nbytes(self) -> int:
        kept = self.whole if self.whole is not None else self.digests
        return self.codes.nbytes + self.rowids.nbytes + self.free.nbytes + (0 if kept is None else kept.nbytes)

    @property
    def dimensions(self) -> int:
        return self.codes.steps.shape[1]

    @property
    def vectors(self) -> int:
        return len(self.rowids) - len(self.free)


def stored_vectors(connection: Connection) -> int:
    """How many there are; without looking at each, as count(*) would."""
    return sum(int.from_bytes(state.validity).bit_count() for state in CHUNK_STATES.all(connection))


def read_chunk(connection: Connection, state: ChunkState, form: VectorForm, before: Chunk | None) -> Chunk:
    """`before` itself, brought up to date, where little is new. Raises LayoutError."""
    rowids = CHUNK_ROWIDS.one(connection, chunk_id=state.chunk_id)
    if before is not None and rowids is not None and _brought_up_to_date(connection, state, rowids.rowids, before):
        return before
    vectors = CHUNK_VECTORS.one(connection, chunk_id=state.chunk_id)
    if rowids is None or vectors is None:
        raise LayoutError(f"chunk {state.chunk_id} has no vectors")
    return Chunk(state, rowids.rowids, vectors.vectors, form)


def _brought_up_to_date(connection: Connection, state: ChunkState, rowids: bytes, chunk: Chunk) -> bool:
    """False, and nothing has changed, where all of the vectors are to be read."""
    if len(state.validity) != len(chunk.state.validity) or len(rowids) != chunk.rowids.nbytes:
        return False
    numbers = np.frombuffer(rowids, dtype="<i8")
    places = chunk.new_places(state, numbers)
    if len(places) > FEW:
        return False
    length = chunk.dimensions * _FLOAT_BYTES
    try:
        with translated():
            starts = (places * length).tolist()
            pieces = read_pieces(connection, VECTORS, "vectors", state.chunk_id, starts, length) if starts else []
    except StatementError:  # no such row
        return False
    if any(len(piece) != length for piece in pieces):
        return False
    vectors: Floats = np.frombuffer(b"".join(pieces), dtype="<f4").reshape(len(pieces), chunk.dimensions)
    chunk.take_over(state, numbers, places, vectors)
    return True


def _taken(state: ChunkState) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(state.validity, dtype=np.uint8), bitorder="little").astype(bool)


def _digest(vector: bytes) -> int:
    """64 bits of SipHash."""
    return hash(vector)
