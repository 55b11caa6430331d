"""One chunk of `vec_embeddings`: sqlite-vec 0.1 stores vectors in chunks of places, 1,024 as a rule.

A chunk has a bit for each place that is taken, the rowid in each, and the vectors, place after place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from native_routes.database import Connection, Query
from native_routes.searching.vector_codes import Codes, Floats, Places
from native_routes.searching.vector_form import VectorForm

_FLOAT_BYTES: Final = 4
ROWS_APART: Final = 16  # number of places is a multiple of it


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
CHUNK_VECTORS: Final = Query(
    "SELECT vectors FROM vec_embeddings_vector_chunks00 WHERE rowid = :chunk_id", row=ChunkVectors
)


class Chunk:
    """The places of one chunk as they are in memory; `whole` or `digests` by form. Not changed once made."""

    __slots__ = ("codes", "digests", "free", "rowids", "state", "whole")

    def __init__(
        self, state: ChunkState, rowids: bytes, vectors: bytes, form: VectorForm, before: Chunk | None
    ) -> None:
        """What `before`, of the same form, has at a place under the same rowid is not made again."""
        places = len(state.validity) * 8
        if len(rowids) != places * 8 or len(vectors) % (places * _FLOAT_BYTES) or places % ROWS_APART:
            raise LayoutError(f"a chunk of {places} places has {len(rowids)} and {len(vectors)} bytes")
        floats: Floats = np.frombuffer(vectors, dtype="<f4").reshape(places, -1)
        self.state = state
        self.rowids = np.frombuffer(rowids, dtype="<i8")
        self.free = np.flatnonzero(~_taken(state))
        self.codes = Codes(*floats.shape)
        self.whole: Floats | None = floats if form is VectorForm.FLOAT32 else None
        self.digests: NDArray[np.int64] | None = None if self.whole is not None else np.zeros(places, dtype=np.int64)
        known = np.zeros(places, dtype=bool) if before is None else self._known(before)
        if before is not None:
            self._copy(np.flatnonzero(known), before)
        self._make(np.flatnonzero(_taken(state) & ~known), floats)

    def _known(self, before: Chunk) -> NDArray[np.bool_]:
        if before.codes.steps.shape != self.codes.steps.shape:
            return np.zeros(len(self.rowids), dtype=bool)
        known: NDArray[np.bool_] = _taken(self.state) & _taken(before.state) & (self.rowids == before.rowids)
        return known

    def _copy(self, places: Places, before: Chunk) -> None:
        self.codes.copy(places, before.codes)
        if self.digests is not None and before.digests is not None:
            self.digests[places] = before.digests[places]

    def _make(self, places: Places, floats: Floats) -> None:
        self.codes.make(places, floats)
        if self.digests is not None:
            self.digests[places] = [_digest(floats[place].tobytes()) for place in places]

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


def read_chunk(connection: Connection, state: ChunkState, form: VectorForm, before: Chunk | None) -> Chunk:
    """Raises LayoutError."""
    rowids = CHUNK_ROWIDS.one(connection, chunk_id=state.chunk_id)
    vectors = CHUNK_VECTORS.one(connection, chunk_id=state.chunk_id)
    if rowids is None or vectors is None:
        raise LayoutError(f"chunk {state.chunk_id} has no vectors")
    return Chunk(state, rowids.rowids, vectors.vectors, form, before)


def _taken(state: ChunkState) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(state.validity, dtype=np.uint8), bitorder="little").astype(bool)


def _digest(vector: bytes) -> int:
    """64 bits of SipHash."""
    return hash(vector)
