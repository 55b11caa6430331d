"""The write-ahead log: copied beside the thread that writes, begun anew, bounded, whoever reads or is killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from native_routes import wal_checkpoints
from native_routes.database import Connection
from native_routes.query import Insertion
from native_routes.writer import Writer
from tests.native_routes.home_database import HomeDatabase

PUT = Insertion("INSERT INTO memories (id, content, created_at, updated_at) VALUES (:id, :content, '', '')")
PAGE_BYTES = 4_096 + 24
TEXT = "a long memory about the harbour " * 400  # three pages and more


def put_all(connection: Connection, names: Sequence[str]) -> list[None]:
    PUT.run_all(connection, [{"id": name, "content": f"{name} {TEXT}"} for name in names])
    return [None] * len(names)


async def write(writer: Writer, count: int, start: int = 0, clients: int = 8) -> None:
    async def client(number: int) -> None:
        for name in range(start + number, start + count, clients):
            await writer.run_together(put_all, f"m{name}")

    await asyncio.gather(*map(client, range(clients)))


@contextmanager
def child(what: str, path: Path) -> Iterator[Callable[[], list[str]]]:
    """Does `what` until the end of the block, where it is killed; then what it has said."""
    command = [sys.executable, "-m", "tests.native_routes.test_wal_checkpoints", what, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output: list[str] = []
        try:
            assert process.stdout.readline() == "begun\n"
            yield lambda: output
        finally:
            process.kill()
            output += process.stdout.read().split()


def pages(home: HomeDatabase) -> float:
    """That the log has had at most since it was last removed: it is never cut."""
    return Path(f"{home.path}-wal").stat().st_size / PAGE_BYTES


FRAMES, ENOUGH, MANY = 100, 400, 1_600


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HomeDatabase:
    """A tenth of the sizes, so that the log is begun anew many times."""
    for name, pages in {"FRAMES": FRAMES, "FRAMES_ENOUGH": ENOUGH, "FRAMES_MANY": MANY, "FEW": 10}.items():
        monkeypatch.setattr(wal_checkpoints, name, pages)
    return HomeDatabase(tmp_path / "memories.db")


async def test_the_log_is_begun_anew_while_writes_go_on(home: HomeDatabase) -> None:
    writer = Writer(home.path)
    await write(writer, 1_500)
    assert ENOUGH < pages(home) < 1.5 * MANY
    assert home.execute("SELECT count(*) FROM memories") == [(1_500,)]
    assert home.execute("PRAGMA integrity_check") == [("ok",)]
    await writer.close()


async def test_pages_are_copied_beside_the_thread_that_writes(
    home: HomeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_checkpoints, "FRAMES_ENOUGH", 1_000_000)
    writer = Writer(home.path)
    await write(writer, 60)
    assert home.connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_NOOP)[0] > 2 * FRAMES
    async with asyncio.timeout(20):
        while home.connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_NOOP)[1] <= FRAMES:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await writer.close()


async def test_readers_one_after_the_other_do_not_keep_it_growing(home: HomeDatabase) -> None:
    """Two connections that read in turn: there is no moment without a reader."""
    writer, ended = Writer(home.path), asyncio.Event()

    def read(connection: apsw.Connection) -> None:
        connection.execute("BEGIN; SELECT count(*) FROM memories").fetchall()
        time.sleep(0.004)
        connection.execute("ROLLBACK")

    async def reader() -> None:
        connection = apsw.Connection(str(home.path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(5_000)  # the first ones of all may find another that sets the log up
        while not ended.is_set():
            await asyncio.to_thread(read, connection)
        connection.close()

    readers = [asyncio.create_task(reader()) for _ in range(3)]
    await write(writer, 1_500)
    ended.set()
    await asyncio.gather(*readers)
    await writer.close()
    assert pages(home) < 1.5 * MANY


async def test_one_that_stays_keeps_what_it_reads_and_the_log_is_begun_anew_afterwards(home: HomeDatabase) -> None:
    writer = Writer(home.path)
    await write(writer, 10)
    reader = apsw.Connection(str(home.path))
    reader.execute("BEGIN; SELECT 1 FROM memories").fetchall()
    await write(writer, 500, start=10)
    assert reader.execute("SELECT count(*) FROM memories").fetchall() == [(10,)]
    reader.execute("ROLLBACK")
    reader.close()
    grown = pages(home)
    assert grown > MANY
    await write(writer, 500, start=1_000)
    await writer.close()
    assert writer.counts.log_pages < MANY
    assert pages(home) < grown + MANY


async def test_another_process_that_copies_the_log_itself_is_no_fault(home: HomeDatabase) -> None:
    """As legacy: SQLite's own way, at every commit that finds 1,000 pages in the log."""
    writer = Writer(home.path)
    with child("as legacy", home.path):
        await write(writer, 1_000)
    await writer.close()
    assert writer.counts.failed == 0
    assert home.execute("SELECT count(*) FROM memories WHERE id LIKE 'm%'") == [(1_000,)]
    assert home.execute("SELECT count(*) > 0 FROM memories WHERE id LIKE 'legacy%'") == [(1,)]
    assert home.execute("PRAGMA integrity_check") == [("ok",)]
    assert pages(home) < 1.5 * MANY


async def test_closing_keeps_the_log(home: HomeDatabase) -> None:
    writer = Writer(home.path)
    await write(writer, 100)
    home.close()
    await writer.close()
    assert pages(home) > 0


@pytest.mark.parametrize("after_s", [0.4, 0.8, 1.2])
def test_a_kill_while_it_is_copied_loses_nothing(tmp_path: Path, after_s: float) -> None:
    """Copies are begun at every commit: the kill finds one under way, or nearly."""
    home = HomeDatabase(tmp_path / "memories.db")
    with child("until killed", home.path) as output:
        time.sleep(after_s)
    told = output()
    stored = {row[0] for row in home.execute("SELECT id FROM memories")}
    assert len(told) > 20
    assert set(told[:-1]) <= stored
    assert home.execute("PRAGMA integrity_check") == [("ok",)]
    home.execute("INSERT INTO memories_fts(memories_fts, rank) VALUES('integrity-check', 1)")
    home.close()


async def write_until_killed(path: Path) -> None:
    for name in ("FRAMES", "FRAMES_ENOUGH", "FEW"):
        setattr(wal_checkpoints, name, 1)
    writer = Writer(path)

    async def client(number: int) -> None:
        for name in range(number, 1_000_000, 4):
            await writer.run_together(put_all, f"m{name}")
            os.write(1, b"m%d\n" % name)

    os.write(1, b"begun\n")
    await asyncio.gather(*map(client, range(4)))


def write_as_legacy(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)
    os.write(1, b"begun\n")
    for number in range(1_000_000):
        connection.execute(
            "INSERT INTO memories (id, content, created_at, updated_at) VALUES (?, ?, '', '')",
            (f"legacy{number}", TEXT),
        )
        time.sleep(0.002)


if __name__ == "__main__":
    if sys.argv[1] == "as legacy":
        write_as_legacy(Path(sys.argv[2]))
    else:
        asyncio.run(write_until_killed(Path(sys.argv[2])))
