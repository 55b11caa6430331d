"""Nearest memories to a vector on one connection: sqlite-vec's own answer, from memory where that is right.

A pass over the matrix names the vectors that can be among the nearest; SQLite then computes their distances. Where that
would not give sqlite-vec's answer, or would not fit into memory in any form, sqlite-vec itself is asked, and `status`
says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import structlog

from native_routes.database import Connection, DatabaseError, DeadlineExceeded, Query, translated
from native_routes.searching.embedders import Vector
from native_routes.searching.vector_chunk import LayoutError, stored_vectors
from native_routes.searching.vector_codes import LONGEST, SHORTEST, Floats
from native_routes.searching.vector_distances import distances
from native_routes.searching.vector_form import VectorForm
from native_routes.searching.vector_matrix import Place, VectorMatrix
from native_routes.searching.vector_shortlist import shortlist

LONGEST_SHORTLIST: Final = 8_192  # beyond it, so many vectors are alike that sqlite-vec is not slower
MOST_KNOWN: Final = 512  # answers that are kept
MOST_NEIGHBOURS_KNOWN: Final = 100_000  # in all of them, about 130 bytes each: a client may ask for 4,096

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Neighbour:
    rowid: int  # in vec_embeddings; see native_routes/searching/vectors.py for the memory behind it
    distance: float | None  # 1 - cosine; None where sqlite-vec finds no number


@dataclass(frozen=True, slots=True)
class Nearest:
    """A question: the `count` vectors nearest to `vector`."""

    vector: Vector
    count: int


@dataclass(frozen=True, slots=True)
class Definition:
    sql: str


DEFINITION: Final = Query("SELECT sql FROM sqlite_schema WHERE name = 'vec_embeddings'", row=Definition)
NEAREST: Final = Query(
    """
    SELECT r.rowid, v.distance FROM vec_embeddings v JOIN vec_embeddings_rowids r ON r.id = v.id
    WHERE v.embedding MATCH :vector AND k = :count ORDER BY v.distance
    """,
    row=Neighbour,
)


class VectorMode(StrEnum):
    UNASKED = "unasked"  # nobody has searched yet
    OFF = "off"  # no vector can be searched
    MEMORY = "memory"
    SQLITE = "sqlite"  # sqlite-vec searches its tables: as right, and slower


@dataclass(frozen=True, slots=True)
class VectorStatus:
    mode: VectorMode
    reason: str | None = None  # why the mode is not MEMORY, or the form not the one asked for
    form: VectorForm | None = None  # in MEMORY
    vectors: int = 0
    bytes_each: int = 0  # for a vector
    memory_bytes: int = 0  # for all, and for the places that are free


class VectorIndex:
    """For one connection with sqlite-vec loaded, and used on its thread only. `status` may be read anywhere."""

    def __init__(self, form: VectorForm, limit_bytes: int) -> None:
        """`form` is taken as long as it fits below the limit, else one that takes less."""
        self.status = VectorStatus(VectorMode.UNASKED)
        self._asked_form = form
        self._limit_bytes = limit_bytes
        self._matrix = VectorMatrix(form)
        self._dimensions = 0  # as the table says
        self._data_version = self._schema_version = -1
        self._known: dict[tuple[bytes, int], list[Neighbour]] = {}  # answers while the database does not change

    def answer(self, connection: Connection, questions: Sequence[Nearest]) -> list[list[Neighbour]]:
        """Nearest first; [] where sqlite-vec refuses the question. One pass for all; inside the caller's snapshot."""
        self._follow(connection)
        if len(self._known) > MOST_KNOWN or sum(map(len, self._known.values())) > MOST_NEIGHBOURS_KNOWN:
            self._known.clear()
        keys = [(question.vector.tobytes(), question.count) for question in questions]
        new = {key: question for key, question in zip(keys, questions, strict=True) if key not in self._known}
        fitting = {key: question for key, question in new.items() if self._fits(question)}
        found = zip(fitting, self._search(connection, list(fitting.values())), strict=True)
        self._known.update((key, answer) for key, answer in found if answer is not None)
        for key, question in new.items():
            if key not in self._known:
                self._known[key] = self._ask_sqlite(connection, question)
        return [self._known[key] for key in keys]

    def _fits(self, question: Nearest) -> bool:
        """Whether the matrix gives sqlite-vec's answer: it is in use, and the vector is a direction of its length."""
        if self.status.mode is not VectorMode.MEMORY or len(question.vector) != self._matrix.dimensions:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            return SHORTEST < float(np.linalg.norm(question.vector)) < LONGEST

    def _search(self, connection: Connection, questions: list[Nearest]) -> list[list[Neighbour] | None]:
        if not questions:
            return []
        similarities = self._matrix.similarities(np.stack([question.vector for question in questions]))
        return [self._nearest(connection, question, row) for question, row in zip(questions, similarities, strict=True)]

    def _nearest(self, connection: Connection, question: Nearest, similarities: Floats) -> list[Neighbour] | None:
        matrix = self._matrix
        columns = shortlist(similarities, matrix.slacks, question.count)
        if len(columns) > LONGEST_SHORTLIST:
            return None
        places = matrix.places(columns)
        exact = distances(connection, matrix, places, question.vector)
        ranked = sorted(zip(exact, places, strict=True), key=_sqlite_vec_order)[: question.count]
        return [Neighbour(matrix.rowid(place), distance) for distance, place in ranked]

    def _ask_sqlite(self, connection: Connection, question: Nearest) -> list[Neighbour]:
        try:
            with translated():
                return NEAREST.all(connection, vector=question.vector.tobytes(), count=question.count)
        except DeadlineExceeded:
            raise
        except DatabaseError as error:
            log.debug("vectors_not_searched", problem=str(error))  # another length, no table: words alone then find
            return []

    def _follow(self, connection: Connection) -> None:
        """Bring the matrix into step with what the connection sees now."""
        data_version = _pragma(connection, "PRAGMA data_version")
        if data_version == self._data_version:
            return
        self._known.clear()
        schema_version = _pragma(connection, "PRAGMA schema_version")
        if schema_version != self._schema_version:
            self._matrix = VectorMatrix(self._matrix.form)  # the table may be another one
        mode, reason = self._usable(connection)
        if mode is VectorMode.MEMORY:
            mode, reason = self._take_over(connection, reason)
        if mode is not VectorMode.MEMORY:
            self._matrix = VectorMatrix(self._asked_form)
        self._data_version, self._schema_version = data_version, schema_version
        self._tell(mode, reason)

    def _usable(self, connection: Connection) -> tuple[VectorMode, str | None]:
        definition = DEFINITION.one(connection)
        if definition is None:
            return VectorMode.OFF, "the database has no table vec_embeddings"
        text = "".join(definition.sql.lower().split())
        if "idtextprimarykey" not in text or "distance_metric=cosine" not in text or "embeddingfloat[" not in text:
            return VectorMode.SQLITE, f"vec_embeddings is not as expected: {definition.sql}"
        self._dimensions = int(text.partition("embeddingfloat[")[2].partition("]")[0])
        return self._choose_form(stored_vectors(connection))

    def _choose_form(self, vectors: int) -> tuple[VectorMode, str | None]:
        """The form asked for, or one that takes less; which then stays, as reading all anew takes time."""
        reason = None
        for form in list(VectorForm)[list(VectorForm).index(self._asked_form) :]:
            needed = vectors * form.bytes_each(self._dimensions)
            if needed <= self._limit_bytes and not form.is_larger_than(self._matrix.form):
                if form is not self._matrix.form:
                    self._matrix = VectorMatrix(form)
                return VectorMode.MEMORY, reason
            reason = f"{needed:,} bytes of vectors as {form.value} are over the limit of {self._limit_bytes:,}"
        return VectorMode.SQLITE, reason

    def _take_over(self, connection: Connection, reason: str | None) -> tuple[VectorMode, str | None]:
        try:
            self._matrix.follow(connection)
        except LayoutError as error:
            return VectorMode.SQLITE, str(error)
        if not self._matrix.orderly:
            return VectorMode.SQLITE, "a stored vector is zero, or holds what is no number"
        return VectorMode.MEMORY, reason

    def _tell(self, mode: VectorMode, reason: str | None) -> None:
        before, matrix = self.status, self._matrix
        self.status = VectorStatus(mode, reason)
        if mode is VectorMode.MEMORY:
            each = matrix.form.bytes_each(self._dimensions)
            self.status = VectorStatus(mode, reason, matrix.form, len(matrix), each, matrix.nbytes)
        if mode is VectorMode.MEMORY and matrix.form is not before.form:
            log.info("vectors_in_memory", form=matrix.form.value, bytes=matrix.nbytes, reason=reason)
        elif mode is not VectorMode.MEMORY and (mode, reason) != (before.mode, before.reason):
            log.warning("vector_search_degraded", mode=mode.value, reason=reason)


def _sqlite_vec_order(found: tuple[float, Place]) -> tuple[float, int, int]:
    """Equal distances: earlier chunk first, and in one chunk the later place. Source: sqlite-vec 0.1, min_idx."""
    distance, place = found
    return distance, place.chunk, -place.offset


def _pragma(connection: Connection, statement: str) -> int:
    rows: list[tuple[Any, ...]] = connection.execute(statement).fetchall()
    return int(rows[0][0])
