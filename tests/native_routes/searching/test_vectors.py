"""Vector search against sqlite-vec's own: the same ids, order and distances, whatever was written in between, and in
whatever form vectors are kept.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from native_routes.database import Connection, DatabaseUnopened
from native_routes.recall.queries import NEAR_MEMORIES
from native_routes.searching import vector_index
from native_routes.searching.vector_form import VectorForm
from native_routes.searching.vectors import ANSWERED_TOGETHER, Neighbour, VectorMode, VectorSearch
from tests.native_routes.vector_home import DIMENSIONS, Vector, VectorHome


@pytest.fixture
def home(tmp_path: Path) -> VectorHome:
    return VectorHome(tmp_path / "memories.db")


@pytest.fixture(params=list(VectorForm))
def form(request: pytest.FixtureRequest) -> VectorForm:
    return VectorForm(request.param)


@pytest.fixture
async def search(home: VectorHome, form: VectorForm) -> AsyncIterator[VectorSearch]:
    search = VectorSearch(home.path, form=form)
    yield search
    await search.close()


async def found(search: VectorSearch, vector: Vector, count: float, type_: str | None = None) -> list[tuple[str, Any]]:
    """Memories behind the nearest vectors and their distances, as recall takes them."""

    def memories(connection: Connection, nearest: list[Neighbour]) -> list[tuple[str, Any]]:
        if not nearest:
            return []
        rows = NEAR_MEMORIES.all(connection, rowids=json.dumps([near.rowid for near in nearest]), type=type_)
        return [(row.id, nearest[row.place].distance) for row in rows]

    return await search.run(vector, count, memories)


async def test_callers_that_leave_while_it_opens_leave_no_connection_behind(search: VectorSearch) -> None:
    runs = [asyncio.ensure_future(search.run(None, 1, lambda *_: None)) for _ in range(3)]
    await asyncio.sleep(0)
    for run in runs:
        run.cancel()
    await asyncio.wait(runs)
    await search.warm()
    await search.close()

    assert [thread for thread in threading.enumerate() if thread.name == f"sqlite {search._path.name}"] == []


async def test_a_search_that_meets_the_close_is_told(search: VectorSearch) -> None:
    await search.warm()
    closed = asyncio.ensure_future(search.close())
    searches = [asyncio.ensure_future(search.run(None, 1, lambda *_: "found")) for _ in range(5)]
    _, pending = await asyncio.wait([closed, *searches], timeout=20)

    assert not pending


@pytest.mark.parametrize("committed_before", [True, False])
async def test_a_batch_sees_one_state_where_another_program_has_committed_since_the_last(
    home: VectorHome, search: VectorSearch, committed_before: bool
) -> None:
    """Else it is answered in parts, each of the state that is there by then."""
    home.add(3)
    await search.warm()
    if committed_before:
        home.memory("before", content_hash="before")

    def count(connection: Connection, _: list[Neighbour]) -> int:
        return len(connection.execute("SELECT 1 FROM memories").fetchall())

    def count_and_commit(connection: Connection, nearest: list[Neighbour]) -> int:
        seen = count(connection, nearest)
        with closing(apsw.Connection(str(home.path))) as other:
            other.execute("DELETE FROM memories")
        return seen

    works = [count_and_commit, *[count] * (2 * ANSWERED_TOGETHER)]
    seen = await asyncio.gather(*(search.run(None, 1, work) for work in works))

    if committed_before:
        assert seen == [4] * len(works)
    else:
        assert seen == [3] * ANSWERED_TOGETHER + [0] * (len(works) - ANSWERED_TOGETHER)


async def test_a_work_that_raises_stop_iteration_is_answered(search: VectorSearch) -> None:
    def stop(*_: object) -> None:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(search.run(None, 1, stop), 20)


async def test_neighbours_are_sqlite_vecs_in_its_order_with_its_distances(
    home: VectorHome, search: VectorSearch, form: VectorForm
) -> None:
    home.add(2500)

    for count in (1, 10, 20, 300, 4096):
        vector = home.vector()
        assert await found(search, vector, count) == home.sqlite_vec(vector, count)
    assert (search.status.mode, search.status.form) == (VectorMode.MEMORY, form)
    assert search.status.vectors == 2500


async def test_equal_distances_come_in_sqlite_vecs_order(home: VectorHome, search: VectorSearch) -> None:
    names = home.add(2300, of=5)
    for name in random.Random(3).sample(names, 400):
        home.execute("DELETE FROM vec_embeddings WHERE id IN (SELECT id FROM embeddings WHERE source_id = ?)", (name,))
    home.add(200, of=3)

    for count in (1, 7, 50, 900):
        stored = home.execute("SELECT vector FROM embeddings ORDER BY random() LIMIT 1")[0][0]
        vector = np.frombuffer(stored, dtype=np.float32)
        assert await found(search, vector, count) == home.sqlite_vec(vector, count)


async def test_the_type_filters_after_the_cut(home: VectorHome, search: VectorSearch) -> None:
    home.add(30)
    home.add(5, type_="decision")
    vector = home.vector()

    assert await found(search, vector, 20, "decision") == home.sqlite_vec(vector, 20, "decision")


async def test_every_write_of_another_connection_is_seen(home: VectorHome, search: VectorSearch) -> None:
    names = home.add(50)
    vector = home.vector()
    await search.warm()

    home.embedding("close", names[0], vector)
    assert (await found(search, vector, 5))[0] == (names[0], pytest.approx(0, abs=1e-6))

    home.execute("DELETE FROM vec_embeddings WHERE id = 'close'")
    assert await found(search, vector, 5) == home.sqlite_vec(vector, 5)

    # The freed place is taken again: the same bit, another vector.
    home.embedding("again", names[1], -vector)
    assert await found(search, -vector, 3) == home.sqlite_vec(-vector, 3)

    home.add(1100)
    assert await found(search, vector, 40) == home.sqlite_vec(vector, 40)


async def test_a_delete_and_an_insert_in_one_commit_are_seen(home: VectorHome, search: VectorSearch) -> None:
    home.add(20)
    await search.warm()
    vector = home.vector()

    home.execute("BEGIN")
    home.execute("DELETE FROM vec_embeddings WHERE id = 'e20'")
    home.execute("INSERT INTO vec_embeddings (id, embedding) VALUES ('e20', ?)", (vector.tobytes(),))
    home.execute("COMMIT")

    assert (await found(search, vector, 1))[0][0] == "m20"


async def test_a_table_that_was_made_anew_is_read_anew(home: VectorHome, search: VectorSearch) -> None:
    home.add(10)
    await search.warm()
    vectors = [home.vector() for _ in range(10)]

    home.execute("BEGIN")
    home.execute("DELETE FROM vec_embeddings")
    home.execute("DROP TABLE vec_embeddings")
    home.execute(
        "CREATE VIRTUAL TABLE vec_embeddings USING vec0(id TEXT PRIMARY KEY, embedding FLOAT[768]"
        " distance_metric=cosine)"
    )
    for number, vector in enumerate(vectors, 1):
        home.execute("INSERT INTO vec_embeddings (id, embedding) VALUES (?, ?)", (f"e{number}", vector.tobytes()))
    home.execute("COMMIT")

    assert await found(search, vectors[4], 10) == home.sqlite_vec(vectors[4], 10)


async def test_questions_that_wait_together_get_each_its_own_answer(home: VectorHome, search: VectorSearch) -> None:
    home.add(300)
    vectors = [home.vector() for _ in range(40)]

    answers = await asyncio.gather(*(found(search, vector, 5) for vector in vectors))

    assert answers == [home.sqlite_vec(vector, 5) for vector in vectors]


async def test_answers_of_thousands_are_not_kept_without_end(
    home: VectorHome, search: VectorSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_index, "MOST_NEIGHBOURS_KNOWN", 1_000)
    home.add(300)
    for _ in range(20):
        await search.run(home.vector(), 300, lambda connection, nearest: None)

    assert sum(map(len, search._index._known.values())) <= 1_000 + 300


async def test_a_question_that_sqlite_vec_refuses_finds_nothing(home: VectorHome, search: VectorSearch) -> None:
    home.add(3)

    for count in (0, -1, 4097, float("nan"), float("inf")):
        assert await found(search, home.vector(), count) == []
    assert await found(search, home.vector()[:5], 3) == []
    assert await found(search, home.vector()[:0], 3) == []


async def test_a_query_without_direction_gets_sqlite_vecs_answer(home: VectorHome, search: VectorSearch) -> None:
    home.add(40)

    for vector in (np.zeros(DIMENSIONS, np.float32), np.full(DIMENSIONS, np.nan, np.float32)):
        assert await found(search, vector, 7) == home.sqlite_vec(vector, 7)


async def test_a_stored_vector_without_direction_leaves_the_search_to_sqlite_vec(
    home: VectorHome, search: VectorSearch
) -> None:
    names = home.add(40)
    home.embedding("zero", names[0], np.zeros(DIMENSIONS, np.float32))
    vector = home.vector()

    assert await found(search, vector, 7) == home.sqlite_vec(vector, 7)
    assert search.status.mode is VectorMode.SQLITE
    assert search.status.memory_bytes == 0

    home.execute("DELETE FROM vec_embeddings WHERE id = 'zero'")
    assert await found(search, vector, 7) == home.sqlite_vec(vector, 7)
    recovered: VectorMode = search.status.mode
    assert recovered is VectorMode.MEMORY


async def test_what_is_too_large_for_memory_is_kept_smaller_and_then_searched_by_sqlite_vec(home: VectorHome) -> None:
    search = VectorSearch(home.path, limit_bytes=100_000)
    vector = home.vector()
    seen: list[tuple[VectorMode, VectorForm | None]] = []
    for _ in range(4):
        home.add(25 if not seen else 50)
        assert await found(search, vector, 7) == home.sqlite_vec(vector, 7)
        seen.append((search.status.mode, search.status.form))

    assert seen == [
        (VectorMode.MEMORY, VectorForm.FLOAT32),
        (VectorMode.MEMORY, VectorForm.INT8),
        (VectorMode.MEMORY, VectorForm.INT8),
        (VectorMode.SQLITE, None),
    ]
    assert search.status.reason == "139,300 bytes of vectors as int8 are over the limit of 100,000"
    await search.close()


async def test_vectors_that_were_kept_smaller_stay_so_when_fewer_are_left(home: VectorHome) -> None:
    search = VectorSearch(home.path, limit_bytes=100_000)
    vector = home.vector()
    home.add(40)
    await found(search, vector, 7)
    assert search.status.form is VectorForm.INT8

    for number in range(30):
        home.execute("DELETE FROM vec_embeddings WHERE id = ?", (f"e{number + 1}",))
    assert await found(search, vector, 7) == home.sqlite_vec(vector, 7)
    assert search.status.form is VectorForm.INT8
    await search.close()


async def test_a_memorys_vector_that_is_not_the_one_searched_does_not_count(home: VectorHome) -> None:
    """Distances of int8 are of vectors read beside the memory, where legacy has another copy of each."""
    home.add(300)
    search = VectorSearch(home.path, form=VectorForm.INT8)
    vector = home.vector()
    nearest = home.sqlite_vec(vector, 20)
    other, gone = (
        home.execute("SELECT id FROM embeddings WHERE source_id = ?", (nearest[n][0],))[0][0] for n in (0, 1)
    )
    home.execute("UPDATE embeddings SET vector = ? WHERE id = ?", ((-vector).tobytes(), other))
    home.execute("DELETE FROM embeddings WHERE id = ?", (gone,))

    distances = await search.run(vector, 20, lambda connection, near: [one.distance for one in near])

    assert distances == [distance for _, distance in nearest]
    await search.close()


async def test_a_database_without_vectors_finds_nothing_and_says_so(home: VectorHome, search: VectorSearch) -> None:
    home.execute("DROP TABLE vec_embeddings")

    assert await found(search, home.vector(), 7) == []
    assert search.status.mode is VectorMode.OFF
    assert "vec_embeddings" in (search.status.reason or "")


async def test_a_missing_database_is_an_error_and_the_next_search_tries_again(tmp_path: Path) -> None:
    search = VectorSearch(tmp_path / "later.db")
    with pytest.raises(DatabaseUnopened):
        await found(search, np.ones(DIMENSIONS, np.float32), 7)
    assert search.status.mode is VectorMode.UNASKED

    home = VectorHome(tmp_path / "later.db")
    home.add(3)
    vector = home.vector()
    assert await found(search, vector, 7) == home.sqlite_vec(vector, 7)
    await search.close()


async def test_memory_is_what_is_promised_for_each_vector(
    home: VectorHome, search: VectorSearch, form: VectorForm
) -> None:
    home.add(1024)
    await search.warm()

    assert search.status.bytes_each == {VectorForm.FLOAT32: 3860, VectorForm.INT8: 796}[form]
    assert search.status.memory_bytes == 1024 * search.status.bytes_each
