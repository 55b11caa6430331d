"""The matrix keeps in step with the table, and reads no more of it than it must."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from native_routes.searching.vector_chunk import CHUNK_VECTORS, LayoutError
from native_routes.searching.vector_form import VectorForm
from native_routes.searching.vector_matrix import VectorMatrix
from tests.native_routes.vector_home import VectorHome


class Reading:
    """A connection that counts the chunks whose vectors are read, and that can be cut off at one of them."""

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

    assert reading.chunks == [1, 2, 1, 3]
    assert len(matrix) == 2099


@pytest.mark.parametrize("form", list(VectorForm))
def test_what_was_stale_when_reading_was_cut_off_is_read_again(home: VectorHome, form: VectorForm) -> None:
    home.add(2100)
    reading, matrix = Reading(home.path), VectorMatrix(form)
    matrix.follow(reading.connection)
    reading.chunks.clear()
    for name, vector in (("e2090", home.vector()), ("e5", home.vector())):  # places taken again: only the rowid tells
        home.execute("DELETE FROM vec_embeddings WHERE id = ?", (name,))
        home.execute("INSERT INTO vec_embeddings (id, embedding) VALUES (?, ?)", (name, vector.tobytes()))
    states = home.execute("SELECT chunk_id FROM vec_embeddings_rowids WHERE id IN ('e5', 'e2090') ORDER BY 1")
    reading.cut_at = states[-1][0]
    with pytest.raises(apsw.ExecTraceAbort):
        matrix.follow(reading.connection)
    reading.cut_at = None
    matrix.follow(reading.connection)

    fresh = VectorMatrix(form)
    fresh.follow(reading.connection)
    assert matrix.slacks.tolist() == fresh.slacks.tolist()
    queries = home.vector()[None, :]
    assert matrix.similarities(queries).tolist() == fresh.similarities(queries).tolist()


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
