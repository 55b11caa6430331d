"""The matrix keeps in step with the table, and reads no more of it than it must."""

from __future__ import annotations

from pathlib import Path

import apsw
import numpy as np
import pytest

from native_routes.searching.vector_chunk import CHUNK_VECTORS, FEW, LayoutError
from native_routes.searching.vector_form import VectorForm
from native_routes.searching.vector_matrix import VectorMatrix
from tests.native_routes.vector_home import DIMENSIONS, VectorHome


class Reading:
    """A connection that notes the chunks whose vectors are all read, and that can be cut off at one of them."""

    def __init__(self, path: Path) -> None:
        self.connection = apsw.Connection(str(path))
        self.connection.exec_trace = self._trace
        self.chunks: list[int] = []
        self.cut_at: int | None = None

    def _trace(self, cursor: apsw.Cursor, statement: str, values: object) -> bool:
        if statement == CHUNK_VECTORS.sql:
            assert isinstance(values, dict)
            if values["chunk_id"] == self.cut_at:
                return False  # apsw then raises ExecTraceAbort
            self.chunks.append(values["chunk_id"])
        return True


@pytest.fixture
def home(tmp_path: Path) -> VectorHome:
    return VectorHome(tmp_path / "memories.db")


@pytest.mark.parametrize("form", list(VectorForm))
def test_reading_that_was_cut_off_goes_on_where_it_was(home: VectorHome, form: VectorForm) -> None:
    home.add(2100)
    reading, matrix = Reading(home.path), VectorMatrix(form)
    reading.cut_at = 3
    with pytest.raises(apsw.ExecTraceAbort):
        matrix.follow(reading.connection)
    home.execute("DELETE FROM vec_embeddings WHERE id = 'e5'")  # of a chunk that was read
    reading.cut_at = None
    matrix.follow(reading.connection)

    assert reading.chunks == [1, 2, 3]
    assert len(matrix) == 2099


@pytest.mark.parametrize("form", list(VectorForm))
def test_what_was_stale_when_reading_was_cut_off_is_read_again(home: VectorHome, form: VectorForm) -> None:
    home.add(2100)
    reading, matrix = Reading(home.path), VectorMatrix(form)
    matrix.follow(reading.connection)
    reading.chunks.clear()
    for name in ("e2090", *(f"e{number}" for number in range(5, 6 + FEW))):  # one place is taken again
        home.execute("DELETE FROM vec_embeddings WHERE id = ?", (name,))
        home.execute("INSERT INTO vec_embeddings (id, embedding) VALUES (?, ?)", (name, home.vector().tobytes()))
    reading.cut_at = 3  # the last one, where all of them went
    with pytest.raises(apsw.ExecTraceAbort):
        matrix.follow(reading.connection)
    reading.cut_at = None
    matrix.follow(reading.connection)

    assert_as_if_read_anew(matrix, reading.connection, home)


@pytest.mark.parametrize("form", list(VectorForm))
@pytest.mark.parametrize(("added", "removed"), [(1, 0), (FEW, 2), (0, 3), (FEW + 1, 0)])
def test_few_new_vectors_are_read_one_by_one(home: VectorHome, form: VectorForm, added: int, removed: int) -> None:
    home.add(30)
    reading, matrix = Reading(home.path), VectorMatrix(form)
    matrix.follow(reading.connection)
    reading.chunks.clear()
    for number in range(removed):
        home.execute("DELETE FROM vec_embeddings WHERE id = ?", (f"e{number + 1}",))
    home.add(added)  # in places that were freed, and new ones
    matrix.follow(reading.connection)

    assert reading.chunks == ([1] if added > FEW else [])
    assert len(matrix) == 30 + added - removed
    assert_as_if_read_anew(matrix, reading.connection, home)


def test_a_new_vector_without_direction_makes_the_matrix_disorderly(home: VectorHome) -> None:
    home.add(30)
    matrix = VectorMatrix(VectorForm.FLOAT32)
    matrix.follow(home.connection)
    home.embedding("zero", "m1", np.zeros(DIMENSIONS, np.float32))
    matrix.follow(home.connection)

    assert not matrix.orderly


def test_new_vectors_of_another_length_than_their_place_are_not_taken(home: VectorHome) -> None:
    home.add(30)
    matrix = VectorMatrix(VectorForm.FLOAT32)
    matrix.follow(home.connection)
    home.add(1)
    home.execute("UPDATE vec_embeddings_vector_chunks00 SET vectors = x'00'")

    with pytest.raises(LayoutError, match="8192 and 1 bytes"):
        matrix.follow(home.connection)


def assert_as_if_read_anew(matrix: VectorMatrix, connection: apsw.Connection, home: VectorHome) -> None:
    fresh = VectorMatrix(matrix.form)
    fresh.follow(connection)
    assert matrix.slacks.tolist() == fresh.slacks.tolist()
    queries = home.vector()[None, :]
    assert matrix.similarities(queries).tolist() == fresh.similarities(queries).tolist()
    places = matrix.places(np.flatnonzero(matrix.similarities(queries)[0] > -np.inf))
    assert [matrix.rowid(place) for place in places] == [fresh.rowid(place) for place in places]
    for place in places:
        mine, anew = matrix.chunk(place), fresh.chunk(place)
        assert (mine.whole is None) == (anew.whole is None) == (matrix.form is VectorForm.INT8)
        if mine.whole is not None and anew.whole is not None:
            assert mine.whole[place.offset].tolist() == anew.whole[place.offset].tolist()
        elif mine.digests is not None and anew.digests is not None:
            assert mine.digests[place.offset] == anew.digests[place.offset]


def test_nothing_is_read_where_nothing_changed(home: VectorHome) -> None:
    home.add(30)
    reading, matrix = Reading(home.path), VectorMatrix(VectorForm.INT8)
    matrix.follow(reading.connection)
    matrix.follow(reading.connection)

    assert reading.chunks == [1]


def test_a_chunk_without_vectors_is_not_as_expected(home: VectorHome) -> None:
    home.add(30)
    home.execute("DELETE FROM vec_embeddings_vector_chunks00")

    with pytest.raises(LayoutError, match="chunk 1 has no vectors"):
        VectorMatrix(VectorForm.INT8).follow(home.connection)
