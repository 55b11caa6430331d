"""What the journal keeps, and that no disk can make it harm the proxy."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from native_routes.database import Access
from native_routes.sqlite_thread import SqliteThread
from proxy.comparisons import Comparison, Verdict
from proxy.journal import COMPARISONS_KEPT, EVENTS_KEPT, STEPS, Journal


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path / "proxy.db")
    await journal.open()
    yield journal
    await journal.close()


async def test_events_come_back_newest_first_by_kind(journal: Journal) -> None:
    journal.record("death", pid=1)
    journal.record("mode", group="health")
    journal.record("death", pid=2)
    events = await journal.recent("death", 10)
    assert [event["pid"] for event in events] == [2, 1]
    assert events[0]["at"] >= events[1]["at"] > 1_700_000_000
    assert len(await journal.recent("death", 1)) == 1
    assert await journal.recent("never", 10) == []


async def test_events_outlive_the_process(tmp_path: Path) -> None:
    first = Journal(tmp_path / "proxy.db")
    await first.open()
    first.record("death", pid=7, path=tmp_path)
    await first.close()
    second = Journal(tmp_path / "proxy.db")
    await second.open()
    assert [event["path"] for event in await second.recent("death", 1)] == [str(tmp_path)]
    await second.close()


async def test_a_freeze_holds_until_it_is_lifted_and_keeps_its_first_reason(journal: Journal) -> None:
    assert await journal.freeze(["recall", "remember"], "an answer differed")
    assert await journal.freeze(["recall"], "again")
    assert [(f.group_name, f.reason) for f in await journal.freezes()] == [
        ("recall", "an answer differed"),
        ("remember", "an answer differed"),
    ]
    assert await journal.lift(["recall", "never frozen"])
    assert [f.group_name for f in await journal.freezes()] == ["remember"]
    assert await journal.freeze(["recall"], "later")
    assert {f.reason for f in await journal.freezes()} == {"an answer differed", "later"}


async def test_a_kept_value_is_replaced_by_the_next(journal: Journal) -> None:
    assert await journal.kept("cutover") is None
    journal.keep("cutover", {"health": "native"})
    journal.keep("cutover", {"health": "legacy"})
    assert await journal.kept("cutover") == {"health": "legacy"}


async def test_only_the_newest_events_of_a_kind_are_kept(journal: Journal) -> None:
    journal.record("rare", n=0)
    for n in range(EVENTS_KEPT + 1_000):
        journal.record("common", n=n)
        if n % 500 == 0:
            await journal.recent("common", 1)  # lets the queue drain
    assert len(await journal.recent("common", 100_000)) <= EVENTS_KEPT + 500
    assert len(await journal.recent("rare", 10)) == 1
    assert journal.health.lost == 0


def compared(verdict: Verdict, target: str = "/api/memories") -> Comparison:
    return Comparison("memories", "GET /api/memories", target, verdict, "why", "body.a", "1", "2")


async def test_comparisons_come_back_newest_first_and_by_verdict(journal: Journal) -> None:
    journal.record_comparison(compared(Verdict.EQUAL))
    journal.record_comparison(compared(Verdict.DIFFERS, "/first"))
    journal.record_comparison(compared(Verdict.DIFFERS, "/second"))
    rows = await journal.comparisons(10)
    assert [row["target"] for row in rows] == ["/second", "/first", "/api/memories"]
    assert [row["target"] for row in await journal.comparisons(1, verdict=Verdict.DIFFERS)] == ["/second"]
    at, *values = rows[0].values()
    assert at > 1_700_000_000
    assert values == ["memories", "GET /api/memories", "/second", "differs", "why", "body.a", "1", "2"]


async def test_differing_comparisons_are_kept_however_many_equal_ones_follow(journal: Journal) -> None:
    journal.record_comparison(compared(Verdict.DIFFERS))
    for n in range(COMPARISONS_KEPT + 1_000):
        journal.record_comparison(compared(Verdict.EQUAL))
        if n % 500 == 0:
            await journal.comparisons(1)  # lets the queue drain
    assert len(await journal.comparisons(100_000)) <= COMPARISONS_KEPT + 501
    assert len(await journal.comparisons(10, verdict=Verdict.DIFFERS)) == 1
    assert journal.health.lost == 0


async def test_a_journal_of_the_version_before_gets_the_table_of_comparisons(tmp_path: Path) -> None:
    before = SqliteThread(tmp_path / "proxy.db", Access.OWN)
    await before.open()
    await before.run(lambda connection: connection.execute(STEPS[0] + "PRAGMA user_version = 1").fetchall())
    await before.close()
    journal = Journal(tmp_path / "proxy.db")
    await journal.open()
    journal.record_comparison(compared(Verdict.EQUAL))
    assert len(await journal.comparisons(10)) == 1
    await journal.close()


async def test_recording_never_waits_for_the_disk(journal: Journal, tmp_path: Path) -> None:
    other = SqliteThread(tmp_path / "proxy.db", Access.OWN)
    await other.open()
    await other.run(lambda connection: connection.execute("BEGIN IMMEDIATE").fetchall())
    for n in range(500):
        journal.record("burst", n=n)
    # All are told, and nothing of it can have been written.
    await other.run(lambda connection: connection.execute("COMMIT").fetchall())
    await other.close()
    assert len(await journal.recent("burst", 2_000)) == 500
    assert journal.health.lost == 0


async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "proxy.db"
    path.write_bytes(b"no database at all, but long enough to be looked at " * 50)
    journal = Journal(path)
    await journal.open()
    aside = journal.health.moved_aside
    assert aside is not None
    assert aside.name.startswith("proxy.db.corrupt-")
    assert aside.read_bytes().startswith(b"no database")
    journal.record("event", works=True)
    assert len(await journal.recent("event", 1)) == 1
    await journal.close()


async def test_a_file_damaged_inside_is_set_aside_too(tmp_path: Path) -> None:
    path = tmp_path / "proxy.db"
    first = Journal(path)
    await first.open()
    await first.freeze(["recall"], "reason")
    await first.close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)
    second = Journal(path)
    await second.open()
    assert second.health.moved_aside is not None
    assert second.health.is_open
    assert await second.freezes() == []
    await second.close()


async def test_a_folder_that_cannot_be_written_costs_records_and_nothing_else(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "missing folder" / "proxy.db")
    await journal.open()
    journal.record("event", n=1)
    journal.keep("name", 1)
    assert await journal.freeze(["recall"], "reason") is False
    assert await journal.freezes() == []
    assert await journal.recent("event", 1) == []
    health = journal.health
    assert (health.is_open, health.lost) == (False, 2)
    assert health.last_error
    await journal.close()


async def test_a_journal_that_could_not_be_opened_is_opened_when_the_disk_is_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "folder" / "proxy.db", reopen_every_s=0.0)
    await journal.open()
    assert not journal.health.is_open
    (tmp_path / "folder").mkdir()
    assert await journal.freezes() == []
    journal.record("event", n=1)
    assert [event["n"] for event in await journal.recent("event", 5)] == [1]
    await journal.close()


FILL_UP = """
import asyncio, resource, signal, sys
from pathlib import Path
from proxy.journal import Journal

async def main():
    journal = Journal(Path(sys.argv[1]))
    await journal.open()
    # A file size limit is to SQLite what a full disk is: the write fails. Source: setrlimit(2), RLIMIT_FSIZE.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
    for n in range(200):
        journal.record("event", n=n, text="x" * 1000)
    await journal.recent("event", 1)
    lost = journal.health.lost
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.record("after", n=1)
    after = await journal.recent("after", 1)
    await journal.close()
    print(lost > 0, len(after))

asyncio.run(main())
"""


async def test_a_full_disk_costs_records_and_is_said_once_and_later_records_are_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL_UP, str(tmp_path / "proxy.db")]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, timeout=30)
    lines = done.stdout.splitlines()
    assert lines[-1] == "True 1"
    assert sum("journal.failed" in line for line in lines) == 1


async def test_the_file_may_be_read_by_its_owner_only(journal: Journal, tmp_path: Path) -> None:
    journal.record("event")
    await journal.recent("event", 1)
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in os.scandir(tmp_path)}
    assert modes == {"proxy.db": 0o600, "proxy.db-wal": 0o600, "proxy.db-shm": 0o600}


async def test_a_closed_journal_counts_what_it_is_given(journal: Journal) -> None:
    await journal.close()
    journal.record("late")
    assert journal.health.lost == 1
