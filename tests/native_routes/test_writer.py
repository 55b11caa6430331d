"""Writes: what is kept, what is undone, who waits for whom, and what a caller hears when it cannot be done."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from native_routes.database import (
    Connection,
    ConstraintViolated,
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnopened,
    DeadlineExceeded,
    StatementError,
)
from native_routes.query import Command
from native_routes.writer import Writer
from tests.native_routes.home_database import HomeDatabase

PUT = Command("INSERT INTO memories (id, content, created_at, updated_at) VALUES (:id, :content, 'now', 'now')")
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def put(id: str, content: str = "text") -> Callable[[Connection], int]:
    return lambda connection: PUT.run(connection, id=id, content=content)


@pytest.fixture
def home(tmp_path: Path) -> HomeDatabase:
    return HomeDatabase(tmp_path / "memories.db")


@pytest.fixture
async def writer(home: HomeDatabase) -> AsyncIterator[Writer]:
    writer = Writer(home.path)
    yield writer
    await writer.close()


def ids(home: HomeDatabase) -> set[str]:
    return {row[0] for row in home.execute("SELECT id FROM memories")}


class Gate:
    """A work that stops the thread until it is opened, so that others queue up behind it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, _: Connection) -> None:
        self.entered.set()
        assert self.opened.wait(timeout=20)


async def queued(writer: Writer, count: int) -> None:
    async with asyncio.timeout(20):
        while writer.waiting < count:  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0)


async def queued_behind(gate: Gate, writer: Writer, *works: Callable[[Connection], Any]) -> list[Any]:
    """Run `works` while the thread is held, so that they share the transaction after it; their results or errors."""
    first = asyncio.create_task(writer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    tasks = [asyncio.create_task(writer.run(work)) for work in works]
    await queued(writer, 1 + len(works))
    gate.opened.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_nothing_is_opened_before_the_first_write(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "missing.db")
    assert not writer.is_open
    with pytest.raises(DatabaseUnopened):
        await writer.run(put("a"))
    assert os.listdir(tmp_path) == []
    HomeDatabase(tmp_path / "missing.db").close()
    assert await writer.run(put("a")) == 1
    await writer.close()


async def test_a_write_is_there_for_others_when_it_is_answered(home: HomeDatabase, writer: Writer) -> None:
    assert await writer.run(put("a")) == 1
    assert ids(home) == {"a"}
    assert writer.vectors


async def test_a_work_that_raises_leaves_nothing_and_its_error_reaches_the_caller(
    home: HomeDatabase, writer: Writer
) -> None:
    def half(connection: Connection) -> None:
        PUT.run(connection, id="a", content="x")
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await writer.run(half)
    assert ids(home) == set()


async def test_waiting_works_share_a_transaction_and_one_failing_does_not_touch_the_others(
    home: HomeDatabase, writer: Writer
) -> None:
    def half(connection: Connection) -> None:
        PUT.run(connection, id="half", content="x")
        PUT.run(connection, id="b", content="x")

    results = await queued_behind(Gate(), writer, put("a"), put("b"), half, put("c"))
    assert [type(result) for result in results] == [int, int, ConstraintViolated, int]
    assert ids(home) == {"a", "b", "c"}
    assert writer.counts.again == 3


async def test_works_that_wait_together_share_a_transaction(home: HomeDatabase, writer: Writer) -> None:
    assert await queued_behind(Gate(), writer, *(put(id) for id in "abcde")) == [1] * 5
    assert (writer.counts.transactions, writer.counts.largest, writer.counts.again) == (2, 5, 0)


async def test_when_sqlite_gives_up_the_shared_transaction_only_the_culprit_fails(
    home: HomeDatabase, writer: Writer
) -> None:
    def endless(connection: Connection) -> None:
        PUT.run(connection, id="endless", content="x")
        connection.execute("INSERT INTO memories (id, content) " + ENDLESS.replace("max(i)", "max(i), 'x'"))

    async def hasty(connection_work: Callable[[Connection], None]) -> None:
        await writer.run(connection_work, deadline_s=0.5)

    gate = Gate()
    first = asyncio.create_task(writer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    tasks = [
        asyncio.create_task(writer.run(put("a"))),
        asyncio.create_task(hasty(endless)),
        asyncio.create_task(writer.run(put("b"))),
    ]
    await queued(writer, 4)
    gate.opened.set()
    await first
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [int, DeadlineExceeded, int]
    assert ids(home) == {"a", "b"}
    assert writer.counts.again == 2


async def test_a_caller_cancelled_before_its_work_began_has_written_nothing(home: HomeDatabase, writer: Writer) -> None:
    gate = Gate()
    first = asyncio.create_task(writer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    second = asyncio.create_task(writer.run(put("a")))
    await queued(writer, 2)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.opened.set()
    await first
    await writer.run(put("b"))
    assert ids(home) == {"b"}


async def test_a_work_that_has_begun_runs_to_its_end_though_its_caller_is_gone(
    home: HomeDatabase, writer: Writer
) -> None:
    gate = Gate()

    def slow(connection: Connection) -> None:
        PUT.run(connection, id="a", content="x")
        gate(connection)
        PUT.run(connection, id="b", content="x")

    task = asyncio.create_task(writer.run(slow))
    await asyncio.to_thread(gate.entered.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.opened.set()
    await writer.run(put("c"))
    assert ids(home) == {"a", "b", "c"}


async def test_a_lock_held_by_another_is_waited_for_and_counted(home: HomeDatabase, writer: Writer) -> None:
    home.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(writer.run(put("a")))
    threading.Timer(0.3, lambda: home.execute("COMMIT")).start()
    assert await task == 1
    assert writer.counts.lock_waits == 1
    assert 0.1 < writer.counts.longest_lock_wait_s < 5


async def test_a_lock_held_beyond_the_deadline_is_busy_and_later_writes_go_on(
    home: HomeDatabase, writer: Writer
) -> None:
    home.execute("BEGIN IMMEDIATE")
    short, long = (
        asyncio.create_task(writer.run(put("a"), deadline_s=0.3)),
        asyncio.create_task(writer.run(put("b"), deadline_s=20)),
    )
    with pytest.raises(DatabaseBusy):
        await short  # while the lock is held
    home.execute("COMMIT")
    assert await long == 1
    assert ids(home) == {"b"}
    assert "DatabaseBusy" in writer.counts.last_failure


async def test_a_work_past_its_deadline_is_interrupted_and_nothing_of_it_is_kept(
    home: HomeDatabase, writer: Writer
) -> None:
    def endless(connection: Connection) -> None:
        PUT.run(connection, id="a", content="x")
        connection.execute(ENDLESS).fetchall()

    with pytest.raises(DeadlineExceeded):
        await writer.run(endless, deadline_s=0.2)
    await writer.run(put("b"))
    assert ids(home) == {"b"}


async def test_a_work_that_waits_behind_a_stuck_one_is_answered_at_its_deadline(writer: Writer) -> None:
    gate = Gate()
    first = asyncio.create_task(writer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    with pytest.raises(DeadlineExceeded):
        await writer.run(put("a"), deadline_s=0.1)
    gate.opened.set()
    await first


async def test_a_full_database_fails_what_does_not_fit_and_keeps_the_rest(home: HomeDatabase, writer: Writer) -> None:
    await writer.run(
        lambda connection: connection.pragma("max_page_count", home.execute("PRAGMA page_count")[0][0] + 8)
    )
    results = await queued_behind(Gate(), writer, put("a"), put("huge", "x" * 400_000), put("b"))
    assert [type(result) for result in results] == [int, DatabaseFull, int]
    assert ids(home) == {"a", "b"}
    assert home.execute("PRAGMA integrity_check") == [("ok",)]


async def test_a_read_only_file_says_so(home: HomeDatabase) -> None:
    home.close()
    for left in home.path.parent.glob("memories.db-*"):
        left.unlink()
    home.path.chmod(0o444)
    home.path.parent.chmod(0o555)
    writer = Writer(home.path)
    if os.access(home.path, os.W_OK):  # the superuser may write anyway: then a flag of the connection must do
        await writer.run(lambda connection: connection.execute("SELECT 1"))
        with pytest.raises(DatabaseReadOnly):
            await writer.run(_insert_as_reader)
    else:
        with pytest.raises(DatabaseReadOnly):
            await writer.run(put("a"))
    await writer.close()
    home.path.parent.chmod(0o755)


def _insert_as_reader(connection: Connection) -> None:
    connection.execute("PRAGMA query_only=1")
    try:
        put("a")(connection)
    finally:
        connection.execute("PRAGMA query_only=0")


async def test_a_file_that_is_no_database_is_told_as_corrupt(tmp_path: Path) -> None:
    (tmp_path / "memories.db").write_bytes(b"no database at all " * 500)
    writer = Writer(tmp_path / "memories.db")
    with pytest.raises(DatabaseCorrupt):
        await writer.run(put("a"))
    await writer.close()


async def test_a_file_replaced_while_open_is_not_written_to(home: HomeDatabase, writer: Writer) -> None:
    await writer.run(put("a"))
    home.path.rename(home.path.with_suffix(".old"))
    with pytest.raises(DatabaseUnopened, match="replaced"):
        await writer.run(put("b"))
    home.path.with_suffix(".old").rename(home.path)
    assert await writer.run(put("b")) == 1


async def test_wrong_sql_is_the_callers_and_does_not_count_as_a_failure(writer: Writer) -> None:
    with pytest.raises(StatementError):
        await writer.run(lambda connection: connection.execute("INSERT INTO nothing VALUES (1)"))
    assert writer.counts.failed == 0


async def test_a_work_that_raises_stop_iteration_is_answered(writer: Writer) -> None:
    def stop(_: Connection) -> None:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await writer.run(stop)


async def test_close_waits_for_queued_works_and_leaves_the_wal(home: HomeDatabase) -> None:
    writer = Writer(home.path)
    gate = Gate()
    first = asyncio.create_task(writer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    second = asyncio.create_task(writer.run(put("a")))
    await queued(writer, 2)
    home.close()
    closing = asyncio.create_task(writer.close())
    gate.opened.set()
    await asyncio.gather(first, second, closing)
    assert home.path.with_name("memories.db-wal").stat().st_size > 0
    await writer.run(put("b"))
    await writer.close()


async def test_many_writers_at_once_lose_nothing(home: HomeDatabase, writer: Writer) -> None:
    await asyncio.gather(*(writer.run(put(f"m{number}", f"text {number}")) for number in range(500)))
    assert len(ids(home)) == 500
    assert writer.counts.works == 500
    assert writer.counts.transactions < 500


async def test_a_command_counts_rows_and_stores_texts_as_bun_does(home: HomeDatabase, writer: Writer) -> None:
    await writer.run(put("a", "lone \ud83d end\x00after"))
    assert home.execute("SELECT CAST(content AS BLOB) FROM memories") == [("lone \ufffd end\x00after".encode(),)]
    touch = Command("UPDATE memories SET who = :who WHERE id = :id")
    assert await writer.run(lambda connection: touch.run(connection, who="x", id="a")) == 1
    assert await writer.run(lambda connection: touch.run(connection, who="x", id="none")) == 0
    with pytest.raises(TypeError, match="expected values"):
        await writer.run(lambda connection: touch.run(connection, id="a"))
