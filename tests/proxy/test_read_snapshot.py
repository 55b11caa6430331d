"""A state of the database that stays while others write, on real files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from native_routes.database import Access, Connection, DatabaseError
from native_routes.searching.vector_index import Neighbour
from native_routes.sqlite_thread import SqliteThread
from proxy.read_snapshot import Snapshot, Snapshots, SnapshotSearch
from tests.proxy.legacy.running import until

SCHEMA = """
CREATE TABLE notes (text);
INSERT INTO notes VALUES ('one');
"""


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[SqliteThread]:
    writer = SqliteThread(tmp_path / "memories.db", Access.OWN, keeps_wal=True)
    await writer.open()
    await writer.run(lambda connection: connection.execute(SCHEMA).fetchall())
    yield writer
    await writer.close()


@pytest.fixture
async def snapshot(writer: SqliteThread) -> AsyncIterator[Snapshot]:
    snapshot = Snapshot(writer.path)
    await snapshot.open()
    yield snapshot
    await snapshot.close()


def count(connection: Connection) -> int:
    return len(connection.execute("SELECT text FROM notes").fetchall())


def left_in_log(connection: Connection) -> int:
    """Pages that could not be folded into the file."""
    rows: list[tuple[Any, ...]] = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    _, in_log, folded = rows[0]
    return int(in_log - folded)


async def add(writer: SqliteThread) -> None:
    await writer.run(lambda connection: connection.execute("INSERT INTO notes VALUES ('more')").fetchall())


async def test_what_is_committed_after_begin_is_not_seen_before_renew(writer: SqliteThread, snapshot: Snapshot) -> None:
    version = await snapshot.begin()
    await add(writer)
    assert await snapshot.run(count) == 1
    assert await snapshot.renew() != version
    assert await snapshot.run(count) == 2


async def test_the_number_stays_while_nobody_commits(snapshot: Snapshot) -> None:
    version = await snapshot.begin()
    await snapshot.run(count)
    assert await snapshot.renew() == version
    await snapshot.end()
    assert await snapshot.begin() == version


async def test_nothing_can_be_written_through_it(snapshot: Snapshot) -> None:
    await snapshot.begin()
    with pytest.raises(DatabaseError):
        await snapshot.run(lambda connection: connection.execute("INSERT INTO notes VALUES ('x')").fetchall())


async def test_after_its_end_the_log_can_be_folded_into_the_file(writer: SqliteThread, snapshot: Snapshot) -> None:
    await add(writer)
    await snapshot.begin()
    await add(writer)
    assert await writer.run(left_in_log) > 0
    await snapshot.end()
    assert await writer.run(left_in_log) == 0


async def test_a_search_finds_the_nearest_vectors_and_none_where_the_length_is_wrong(
    writer: SqliteThread, snapshot: Snapshot
) -> None:
    def vectors(connection: Connection) -> None:
        from native_routes.database import load_vector_search

        load_vector_search(connection)
        connection.execute(
            "CREATE VIRTUAL TABLE vec_embeddings USING vec0(id TEXT PRIMARY KEY, embedding FLOAT[2] "
            "distance_metric=cosine); INSERT INTO vec_embeddings VALUES ('a', '[1,0]'), ('b', '[0,1]')"
        ).fetchall()

    await writer.run(vectors)
    search = SnapshotSearch(snapshot, status=None)
    await snapshot.begin()

    def rowids(connection: Connection, nearest: list[Neighbour]) -> list[int]:
        return [neighbour.rowid for neighbour in nearest]

    assert await search.run(np.array([0.1, 1], dtype=np.float32), 2, rowids) == [2, 1]
    assert await search.run(np.array([0.1, 1], dtype=np.float32), 1, rowids) == [2]
    assert await search.run(np.array([1, 1, 1], dtype=np.float32), 2, rowids) == []
    assert await search.run(np.array([0.1, 1], dtype=np.float32), float("nan"), rowids) == []
    assert await search.run(None, 2, rowids) == []


async def test_no_more_than_the_number_given_are_out_at_once(writer: SqliteThread) -> None:
    snapshots = Snapshots(writer.path, 1)
    assert snapshots.take() is None, "none is open yet, and nobody waits for one"
    taken = await taken_from(snapshots)
    assert snapshots.take() is None
    await snapshots.give_back(taken)
    assert snapshots.take() is taken
    await snapshots.give_back(taken)
    await snapshots.close()
    assert snapshots.take() is None


async def test_a_file_that_is_missing_costs_nothing_and_is_tried_again(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "memories.db", 1)
    assert snapshots.take() is None
    writer = SqliteThread(tmp_path / "memories.db", Access.OWN)
    await writer.open()
    await snapshots.give_back(await taken_from(snapshots))
    await snapshots.close()
    await writer.close()


async def taken_from(snapshots: Snapshots) -> Snapshot:
    taken: list[Snapshot | None] = [None]

    def take() -> bool:
        taken[0] = snapshots.take()
        return taken[0] is not None

    await until(take)
    assert taken[0] is not None
    return taken[0]
