"""SQLite under the project's rules: threads, deadlines, errors, and what a close may do to the WAL."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from native_routes.database import (
    Access,
    Connection,
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseReadOnly,
    DatabaseUnopened,
    DeadlineExceeded,
    SchemaMismatch,
    StatementError,
    check_vector_search,
    load_vector_search,
    read_pieces,
    vector_library_path,
)
from native_routes.sqlite_thread import SqliteThread

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def execute(connection: Connection, statement: str) -> list[tuple[object, ...]]:
    return connection.execute(statement).fetchall()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteThread]:
    thread = SqliteThread(tmp_path / "some.db", Access.OWN)
    await thread.open()
    await thread.run(execute, "CREATE TABLE things (name TEXT)")
    yield thread
    await thread.close()


async def test_work_runs_on_one_thread_that_is_not_the_event_loops(database: SqliteThread) -> None:
    threads = {await database.run(lambda _: threading.get_ident()) for _ in range(3)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_pragmas_are_legacys(database: SqliteThread) -> None:
    names = ("journal_mode", "synchronous", "temp_store", "foreign_keys")
    assert [await database.run(Connection.pragma, name) for name in names] == ["wal", 1, 2, 0]


async def test_a_statement_is_interrupted_at_its_deadline_and_the_connection_lives_on(database: SqliteThread) -> None:
    with pytest.raises(DeadlineExceeded):
        await database.run_within(0.1, execute, ENDLESS)
    assert await database.run(execute, "SELECT 1") == [(1,)]


async def test_the_event_loop_turns_while_a_statement_runs(database: SqliteThread) -> None:
    statement = asyncio.ensure_future(database.run_within(0.3, execute, ENDLESS))
    turns = 0
    while not statement.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100
    with pytest.raises(DeadlineExceeded):
        statement.result()


async def test_a_cancelled_caller_interrupts_its_statement(database: SqliteThread) -> None:
    statement = asyncio.ensure_future(database.run_within(60.0, execute, ENDLESS))
    await asyncio.sleep(0)
    statement.cancel()
    assert await database.run(execute, "SELECT 1") == [(1,)]


async def test_time_in_the_queue_counts(database: SqliteThread) -> None:
    before = asyncio.ensure_future(database.run_within(0.3, execute, ENDLESS))
    await asyncio.sleep(0)  # lets it be queued first
    with pytest.raises(DeadlineExceeded, match="before the statement began"):
        await database.run_within(0.1, execute, "SELECT 1")
    with pytest.raises(DeadlineExceeded):
        await before


async def test_an_interrupted_transaction_commits_nothing(database: SqliteThread) -> None:
    def insert_then_stall(connection: Connection) -> None:
        with connection:
            connection.execute("INSERT INTO things VALUES ('half')")
            connection.execute(ENDLESS).fetchall()

    with pytest.raises(DeadlineExceeded):
        await database.run_within(0.1, insert_then_stall)
    assert await database.run(execute, "SELECT * FROM things") == []


async def test_a_busy_writer_is_waited_for_no_longer_than_the_deadline(database: SqliteThread) -> None:
    other = SqliteThread(database.path, Access.WRITE)
    await other.open()
    await other.run(execute, "BEGIN IMMEDIATE")
    started_s = time.monotonic()
    with pytest.raises(DatabaseBusy):
        await database.run_within(0.2, execute, "INSERT INTO things VALUES ('x')")
    assert time.monotonic() - started_s < 5.0  # legacy's busy_timeout
    await other.run(execute, "COMMIT")
    await database.run(execute, "INSERT INTO things VALUES ('x')")
    await other.close()


async def test_a_reader_may_not_write(database: SqliteThread) -> None:
    reader = SqliteThread(database.path, Access.READ)
    await reader.open()
    with pytest.raises(DatabaseReadOnly):
        await reader.run(execute, "INSERT INTO things VALUES ('x')")
    await reader.close()


async def test_a_missing_file_is_not_created_by_those_who_do_not_own_it(tmp_path: Path) -> None:
    for access in (Access.READ, Access.WRITE):
        with pytest.raises(DatabaseUnopened):
            await SqliteThread(tmp_path / "missing.db", access).open()
    assert os.listdir(tmp_path) == []


async def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "junk.db").write_bytes(b"junk " * 1000)
    thread = SqliteThread(tmp_path / "junk.db", Access.WRITE)
    with pytest.raises(DatabaseCorrupt):
        await thread.open()
    assert not thread.is_open


async def test_a_closed_connection_says_so(database: SqliteThread) -> None:
    await database.close()
    await database.close()
    with pytest.raises(DatabaseUnopened):
        await database.run(execute, "SELECT 1")


async def test_other_errors_of_the_work_reach_the_caller_unchanged(database: SqliteThread) -> None:
    with pytest.raises(ZeroDivisionError):
        await database.run(lambda _: 1 / 0)


@pytest.mark.parametrize(("keeps_wal", "left"), [(True, True), (False, False)])
async def test_a_connection_that_keeps_the_wal_leaves_it_though_it_closes_last(
    tmp_path: Path, keeps_wal: bool, left: bool
) -> None:
    thread = SqliteThread(tmp_path / "some.db", Access.OWN, keeps_wal=keeps_wal)
    await thread.open()
    await thread.run(execute, "CREATE TABLE things (name TEXT)")
    await thread.close()
    assert (tmp_path / "some.db-wal").exists() is left
    again = SqliteThread(tmp_path / "some.db", Access.WRITE)
    await again.open()
    assert await again.run(execute, "SELECT * FROM things") == []
    await again.close()


async def test_full_queues_refuse_instead_of_growing(tmp_path: Path) -> None:
    thread = SqliteThread(tmp_path / "some.db", Access.OWN, pending=2)
    await thread.open()
    running = asyncio.ensure_future(thread.run_within(0.3, execute, ENDLESS))
    await asyncio.sleep(0)
    accepted = [thread.post(lambda _: None, lambda _: None) for _ in range(5)]
    assert accepted.count(False) >= 2
    with pytest.raises(DeadlineExceeded):
        await running
    await thread.close()


def test_vector_search_answers_a_real_query() -> None:
    assert check_vector_search().startswith("v")
    assert vector_library_path().is_file()


async def test_vector_functions_are_loaded_into_one_connection(database: SqliteThread) -> None:
    await database.run(load_vector_search)
    ((distance,),) = await database.run(execute, "SELECT vec_distance_cosine('[1,0]', '[0,1]')")
    assert distance == pytest.approx(1.0)


async def test_a_work_that_raises_stop_iteration_is_answered(database: SqliteThread) -> None:
    def stop(_: Connection) -> None:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(database.run(stop), 20)


async def test_pieces_of_a_blob_are_its_bytes_and_the_file_is_not_mapped_longer(database: SqliteThread) -> None:
    await database.run(execute, "CREATE TABLE blobs (bytes BLOB)")
    await database.run(execute, "INSERT INTO blobs SELECT zeroblob(20000) || x'010203' || zeroblob(20000)")

    def pieces(connection: Connection, rowid: int) -> list[bytes]:
        return read_pieces(connection, "blobs", "bytes", rowid, [20_000, 19_999, 40_001, 50_000], 3)

    assert await database.run(pieces, 1) == [b"\1\2\3", b"\0\1\2", b"\0\0", b""]
    with pytest.raises(StatementError):
        await database.run(pieces, 2)
    assert await database.run(execute, "PRAGMA mmap_size") == [(0,)]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT * FROM missing", SchemaMismatch),
        ("SELECT missing FROM things", SchemaMismatch),
        ("INSERT INTO things (missing) VALUES (1)", SchemaMismatch),
        ("SELECT name FROM FROM things", StatementError),
        ("SELECT missing(name) FROM things", StatementError),
        ("SELECT", StatementError),
    ],
)
async def test_a_name_that_the_database_does_not_have_is_told_from_a_wrong_statement(
    database: SqliteThread, statement: str, kind: type[StatementError]
) -> None:
    with pytest.raises(StatementError) as raised:
        await database.run(execute, statement)
    assert type(raised.value) is kind
