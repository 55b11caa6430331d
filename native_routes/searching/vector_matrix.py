"""The vectors of `vec_embeddings` in memory, laid out as sqlite-vec stores them, and how near each is to a query.

A projection that can be thrown away at any time: SQLite holds the truth and computes every distance that counts.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

from native_routes.database import Connection, Query
from native_routes.searching.vector_chunk import CHUNK_STATES, ROWS_APART, Chunk, ChunkState, LayoutError, read_chunk
from native_routes.searching.vector_codes import Floats, Places
from native_routes.searching.vector_form import VectorForm

# numpy multiplies int8 slowly and float32 fast, so codes become float32 a few at a time, in the processor's cache: that
# takes less time than reading float32 from memory would.
_ROWS_AT_ONCE: Final = 512
# OpenBLAS starts threads, which then wait in a loop, for products of more than 262,144 multiplications, and packs their
# operands first. Blocks of ROWS_APART need neither.
# Beyond some ten thousand vectors a pass is worth a second processor.
_CHUNKS_APART: Final = 8
_PROCESSORS: Final = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Highest:
    rowid: int | None


@dataclass(frozen=True, slots=True)
class ChunkId:
    chunk_id: int


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


class VectorMatrix:
    """All vectors of one database as of the last `follow`."""

    def __init__(self, form: VectorForm) -> None:
        self.form = form
        self._chunks: dict[int, Chunk] = {}  # by chunk id
        self._in_order: list[Chunk] = []  # by chunk id, ascending
        self._starts: Places = np.zeros(1, dtype=np.intp)  # first column of each chunk, and the end
        self._highest = 0
        self.slacks: Floats = np.zeros(0, dtype=np.float32)  # of each column: see `similarities`
        self.orderly = True

    @property
    def nbytes(self) -> int:
        return sum(chunk.nbytes for chunk in self._in_order) + self.slacks.nbytes

    @property
    def dimensions(self) -> int | None:
        """None while there is no vector."""
        return self._in_order[0].dimensions if self._in_order else None

    def __len__(self) -> int:
        return sum(chunk.vectors for chunk in self._in_order)

    def follow(self, connection: Connection) -> None:
        """Take over what changed in the table: only chunks with new or removed rows are read. Raises LayoutError.

        What was read before an error, such as a deadline, is kept, so that another try has less to do.
        """
        states = CHUNK_STATES.all(connection)
        highest = HIGHEST_ROWID.all(connection)[0].rowid or 0
        stale = {state.chunk_id for state in states if self._differs(state)}
        if highest != self._highest:
            newer = CHUNKS_WITH_NEWER.all(connection, rowid=min(highest, self._highest))
            stale |= {row.chunk_id for row in newer}
        before, self._highest = self._chunks, highest
        if not stale and len(before) == len(states) == len(self._in_order):
            return
        self._in_order = []  # until all is read
        self._chunks = {chunk_id: chunk for chunk_id, chunk in before.items() if chunk_id not in stale}
        for state in states:
            if state.chunk_id in stale:
                self._chunks[state.chunk_id] = read_chunk(connection, state, self.form, before.get(state.chunk_id))
        self._take_over([self._chunks[state.chunk_id] for state in states])

    def _differs(self, state: ChunkState) -> bool:
        known = self._chunks.get(state.chunk_id)
        return known is None or known.state != state

    def _take_over(self, chunks: list[Chunk]) -> None:
        if len({chunk.dimensions for chunk in chunks}) > 1:
            raise LayoutError("chunks of different dimensions")
        self._chunks, self._in_order = {chunk.state.chunk_id: chunk for chunk in chunks}, chunks
        self._starts = np.cumsum([0, *(len(chunk.rowids) for chunk in chunks)], dtype=np.intp)
        self.slacks = np.concatenate([np.zeros(0, dtype=np.float32), *(chunk.codes.slacks for chunk in chunks)])
        self.orderly = all(chunk.codes.orderly for chunk in chunks)

    def similarities(self, queries: Floats) -> Floats:
        """About the cosines, shape (queries, places of all chunks), -inf for a free place; from (queries, dimensions).

        Each is at most `slacks` of its place from sqlite-vec's. One pass over the memory for all queries.
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

    def places(self, columns: Places) -> list[Place]:
        """Where these columns of `similarities` lie."""
        chunks = np.searchsorted(self._starts, columns, side="right") - 1
        offsets = columns - self._starts[chunks]
        return [Place(*pair) for pair in zip(chunks.tolist(), offsets.tolist(), strict=True)]

    def chunk(self, place: Place) -> Chunk:
        return self._in_order[place.chunk]

    def rowid(self, place: Place) -> int:
        return int(self.chunk(place).rowids[place.offset])


def _pass(directions: Floats, chunks: list[tuple[Chunk, tuple[int, int]]], found: Floats) -> None:
    """Write the cosines of some chunks into their columns of `found`. numpy lets other threads run meanwhile."""
    floats = np.empty((_ROWS_AT_ONCE, directions.shape[1]), dtype=np.float32)
    for chunk, (start, end) in chunks:
        steps, factors = chunk.codes.steps, chunk.codes.factors
        for row in range(0, end - start, _ROWS_AT_ONCE):
            rows = slice(row, min(row + _ROWS_AT_ONCE, end - start))
            some = floats[: rows.stop - row]
            np.copyto(some, steps[rows])
            blocks = some.reshape(-1, ROWS_APART, some.shape[1])
            products = np.matmul(directions, blocks.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(len(directions), -1)
            np.multiply(products, factors[rows], out=found[:, start + row : start + rows.stop])
        found[:, start + chunk.free] = -np.inf


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_PROCESSORS, "vectors")
