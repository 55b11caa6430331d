"""The pool of read connections: when it opens, what one read sees, how it ends, and what its close leaves alone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from native_routes.database import (
    Connection,
    DatabaseBusy,
    DatabaseReadOnly,
    DatabaseUnopened,
    DeadlineExceeded,
    StatementError,
)
from native_routes.reader import Reader
from tests.native_routes.home_database import HomeDatabase

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

IN_TIME_S = 20.0  # a deadline, never a measure


def execute(connection: Connection, statement: str) -> list[Any]:
    return connection.execute(statement).fetchall()


@pytest.fixture
def home(tmp_path: Path) -> HomeDatabase:
    return HomeDatabase(tmp_path / "memories.db")


@pytest.fixture
async def reader(home: HomeDatabase) -> AsyncIterator[Reader]:
    reader = Reader(home.path, threads=3)
    yield reader
    await reader.close()


async def test_nothing_is_opened_before_the_first_read(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "missing.db")
    await reader.close()
    assert not reader.is_open
    with pytest.raises(DatabaseUnopened):
        await reader.run(execute, "SELECT 1")
    assert os.listdir(tmp_path) == []
    assert reader.failures == 1
    assert "DatabaseUnopened" in reader.last_failure


async def test_a_reader_whose_file_appears_later_opens_then(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "memories.db")
    with pytest.raises(DatabaseUnopened):
        await reader.run(execute, "SELECT 1")
    HomeDatabase(tmp_path / "memories.db").close()
    assert await reader.run(execute, "SELECT count(*) FROM memories") == [(0,)]
    await reader.close()


async def test_reads_run_side_by_side_up_to_the_number_of_threads(reader: Reader) -> None:
    together = threading.Barrier(3)

    def meet(_: Connection) -> int:
        together.wait(timeout=10)  # passes only when three are here at once
        return threading.get_ident()

    idents = await asyncio.gather(*(reader.run(meet) for _ in range(3)))
    assert len(set(idents)) == 3
    assert threading.get_ident() not in idents


async def test_short_reads_are_one_threads_work(reader: Reader) -> None:
    """More would take turns at every statement."""
    threads = [await reader.run(lambda _: threading.get_ident()) for _ in range(50)]
    assert len(set(threads)) == 1


async def test_a_read_behind_a_long_one_is_done_by_a_helper_which_then_rests(reader: Reader) -> None:
    begun, over = threading.Event(), threading.Event()

    def last(_: Connection) -> bool:
        begun.set()
        return over.wait(IN_TIME_S)

    first = await reader.run(lambda _: threading.get_ident())
    long = asyncio.ensure_future(reader.run(last))
    assert await asyncio.to_thread(begun.wait, IN_TIME_S)
    meanwhile = [await reader.run(lambda _: threading.get_ident()) for _ in range(20)]
    over.set()
    assert await long
    assert first not in meanwhile
    assert await reader.run(lambda _: threading.get_ident()) == first


async def test_a_read_that_meets_the_close_opens_anew(reader: Reader) -> None:
    read = asyncio.ensure_future(reader.run(execute, "SELECT 1"))
    await asyncio.sleep(0)  # it opens
    await reader.close()

    assert await read == [(1,)]
    assert reader._waiting == 0


async def test_reads_behind_a_long_one_are_helped_also_while_the_pool_closes(reader: Reader) -> None:
    begun, over = threading.Event(), threading.Event()

    def last(_: Connection) -> bool:
        begun.set()
        return over.wait(IN_TIME_S)

    long = asyncio.ensure_future(reader.run(last))
    assert await asyncio.to_thread(begun.wait, IN_TIME_S)
    short = asyncio.ensure_future(reader.run(execute, "SELECT 1"))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(reader.close())

    assert await asyncio.wait_for(short, IN_TIME_S) == [(1,)]
    over.set()
    assert await long
    await closing


async def test_a_read_sees_one_state_though_another_commits_meanwhile(home: HomeDatabase, reader: Reader) -> None:
    home.memory("before")

    def count_twice(connection: Connection) -> tuple[Any, Any]:
        first = connection.execute("SELECT count(*) FROM memories").get
        writer = sqlite3_in_another_process(home.path, "INSERT INTO memory_jobs (id, job_type, created_at, updated_at)"
                                                       " VALUES ('j', 'x', '', '')")  # fmt: skip
        assert writer == ""
        return first, connection.execute("SELECT count(*) FROM memory_jobs").get

    assert await reader.run(count_twice) == (1, 0)
    assert await reader.run(execute, "SELECT count(*) FROM memory_jobs") == [(1,)]


def sqlite3_in_another_process(path: Path, statement: str) -> str:
    program = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit(); db.close()"
    done = subprocess.run([sys.executable, "-c", program, path, statement], capture_output=True, text=True, check=False)
    return done.stderr


async def test_an_idle_reader_holds_no_snapshot(home: HomeDatabase, reader: Reader) -> None:
    home.memory("some")
    with pytest.raises(ZeroDivisionError):
        await reader.run(lambda connection: connection.execute("SELECT id FROM memories").fetchall() and 1 / 0)
    assert home.execute("PRAGMA wal_checkpoint(TRUNCATE)") == [(0, 0, 0)]  # 0 = nobody was in the way


async def test_a_reader_may_not_write(reader: Reader) -> None:
    with pytest.raises(DatabaseReadOnly):
        await reader.run(execute, "DELETE FROM memories")


async def test_vector_functions_are_there(home: HomeDatabase, reader: Reader) -> None:
    assert not reader.vectors
    assert await reader.run(execute, "SELECT vec_distance_cosine('[1,0]', '[1,0]')") == [(0.0,)]
    assert await reader.run(execute, "SELECT count(*) FROM vec_embeddings") == [(0,)]
    assert reader.vectors


async def test_a_read_is_interrupted_at_its_deadline_and_the_pool_lives_on(reader: Reader) -> None:
    reads = [reader.run(execute, ENDLESS, deadline_s=0.1) for _ in range(3)]
    outcomes = await asyncio.wait_for(asyncio.gather(*reads, return_exceptions=True), 5.0)
    assert [type(outcome) for outcome in outcomes] == [DeadlineExceeded] * 3
    assert await reader.run(execute, "SELECT 1") == [(1,)]
    assert reader.failures == 3


async def test_work_that_does_not_heed_its_deadline_is_not_waited_for(reader: Reader) -> None:
    released = threading.Event()

    def stuck(_: Connection) -> None:
        released.wait(30)

    started_s = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="did not stop"):
        await reader.run(stuck, deadline_s=0.1)
    assert time.monotonic() - started_s < 20.0
    assert await reader.run(execute, "SELECT 1") == [(1,)]
    released.set()


async def test_a_cancelled_caller_interrupts_its_read(reader: Reader) -> None:
    await reader.run(execute, "SELECT 1")
    reads = [asyncio.ensure_future(reader.run(execute, ENDLESS, deadline_s=60.0)) for _ in range(3)]
    await asyncio.sleep(0)  # lets all be queued
    for read in reads:
        read.cancel()
    assert await asyncio.wait_for(reader.run(execute, "SELECT 1"), 5.0) == [(1,)]
    outcomes = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3


async def test_more_than_so_many_waiting_reads_are_refused(home: HomeDatabase) -> None:
    reader = Reader(home.path, threads=1, waiting=2)
    await reader.run(execute, "SELECT 1")
    reads = [asyncio.ensure_future(reader.run(execute, ENDLESS, deadline_s=0.3)) for _ in range(2)]
    await asyncio.sleep(0)  # lets both be queued
    with pytest.raises(DatabaseBusy, match="2 reads"):
        await reader.run(execute, "SELECT 1")
    await asyncio.gather(*reads, return_exceptions=True)
    await reader.close()


def home_threads(reader: Reader) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"sqlite {reader.path.name}"]


async def test_a_faulty_statement_is_no_failure_of_the_database(reader: Reader) -> None:
    for statement in ("SELEC", "SELECT 1 LIMIT 'many'", "SELECT json_array(x'')"):
        with pytest.raises(StatementError):
            await reader.run(execute, statement)
    assert reader.failures == 0


@pytest.mark.parametrize("close_first", [lambda home: home.close(), lambda home: None])
async def test_closing_leaves_the_wal_though_it_may_be_the_last(
    home: HomeDatabase, close_first: Callable[[HomeDatabase], None]
) -> None:
    reader = Reader(home.path)
    await reader.run(execute, "SELECT 1 FROM memories")
    wal_path = home.path.with_name("memories.db-wal")
    size = wal_path.stat().st_size
    close_first(home)
    await reader.close()
    await reader.close()
    assert wal_path.stat().st_size == size
    assert home_threads(reader) == []


async def test_a_closed_reader_opens_anew(home: HomeDatabase, reader: Reader) -> None:
    await reader.run(execute, "SELECT 1")
    await reader.close()
    assert not reader.is_open
    assert await asyncio.gather(*(reader.run(execute, "SELECT 1") for _ in range(20))) == [[(1,)]] * 20
    assert len(home_threads(reader)) == 3


async def test_a_caller_that_leaves_while_the_pool_opens_leaves_no_thread_behind(home: HomeDatabase) -> None:
    reader = Reader(home.path)
    leaving = asyncio.ensure_future(reader.run(execute, "SELECT 1"))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await reader.run(execute, "SELECT 1")
    await reader.close()
    assert home_threads(reader) == []
