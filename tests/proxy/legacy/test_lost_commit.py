"""The hazard of a migrating first boot, with real processes: shown unprotected, then shown prevented.

The legacy daemon is the stand-in, which migrates as Signet does. "Another program" is anything that opens and closes
memories.db beside it: the sqlite3 command, a backup, our own native answers. It runs as a process of its own here,
because a second SQLite library in this one would drop the locks of the first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from proxy.legacy.child import Child, Launch
from proxy.legacy.find import STAND_IN_PATH, find_bun
from proxy.legacy.policy import RestartPolicy
from proxy.legacy.ports import free_port
from proxy.legacy.probe import Prober
from tests.proxy.legacy import daemons
from tests.proxy.legacy.conftest import Supervise
from tests.proxy.legacy.running import Supervised, environment_for, in_another_process, kill

OPEN_READ_CLOSE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM memories").fetchone()[0])
connection.close()
"""

COMMIT_A_ROW = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute(
    "INSERT INTO memories (id, content, type, created_at, updated_at, updated_by) "
    "VALUES ('theirs', 'committed by another program', 'fact', datetime('now'), datetime('now'), 'them')")
connection.commit()
connection.close()
"""

READ_NOTES = """
import sqlite3, sys
print(*[row[0] for row in sqlite3.connect(sys.argv[1]).execute("SELECT text FROM notes")], sep="\\n")
"""


def ids(database_path: Path) -> set[str]:
    """Ids of all memories, read by another process."""
    source = (
        "import sqlite3, sys; print(*[r[0] for r in sqlite3.connect(sys.argv[1]).execute('SELECT id FROM memories')])"
    )
    return set(in_another_process(source, str(database_path)).split())


def wal(database_path: Path) -> Path:
    return database_path.with_name("memories.db-wal")


@pytest.fixture
async def first_boot(tmp_path: Path) -> AsyncIterator[tuple[Child, int, Path]]:
    """The stand-in after a single boot on an empty home, started without any of our care; its port; its database."""
    home = tmp_path / "home"
    logs = home / ".daemon" / "logs"
    logs.mkdir(parents=True)
    environment = environment_for(home, None)
    port = free_port()
    bun = find_bun(None, environment)
    child = await Child.start(Launch(bun, STAND_IN_PATH, home, logs, port, "nonce", environment))
    prober = Prober()
    while (await prober.ask("127.0.0.1", port, RestartPolicy().probe_timeout_s)).problem is not None:
        assert not child.exited.done()
    yield child, port, home / "memory" / "memories.db"
    await child.stop(3.0)


async def remember(port: int, content: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(f"http://127.0.0.1:{port}/api/memory/remember", json={"content": content})
    return str(reply.json()["id"])


async def test_unprotected_a_migrating_boot_loses_a_commit_of_another_program(
    first_boot: tuple[Child, int, Path],
) -> None:
    child, port, database = first_boot
    await remember(port, "written before")
    in_another_process(OPEN_READ_CLOSE, str(database))
    assert not wal(database).exists(), "the WAL of a running daemon was unlinked"
    in_another_process(COMMIT_A_ROW, str(database))
    assert "theirs" in ids(database)
    for n in range(3):
        await remember(port, f"written by the daemon into a WAL without a name, {n}")
    await child.stop(3.0)
    assert "theirs" not in ids(database), "the commit is gone, and nothing reported an error"


async def test_under_supervision_the_same_sequence_keeps_every_commit(supervise: Supervise) -> None:
    supervised: Supervised = await supervise(None)
    await supervised.ready()
    database, port = supervised.settings.database_path, supervised.legacy.address[1]
    before = await remember(port, "written before")
    inode = wal(database).stat().st_ino
    in_another_process(OPEN_READ_CLOSE, str(database))
    assert wal(database).stat().st_ino == inode
    in_another_process(COMMIT_A_ROW, str(database))
    after = [await remember(port, f"written by the daemon afterwards, {n}") for n in range(3)]
    listed = {row["id"] for row in (await supervised.get("/api/memories")).json()["memories"]}
    assert listed == {before, "theirs", *after}, "both sides see one database"
    await supervised.legacy.stop(3.0)
    assert ids(database) == {before, "theirs", *after}


async def test_commits_survive_a_daemon_that_is_killed_while_other_programs_come_and_go(supervise: Supervise) -> None:
    supervised: Supervised = await supervise(None)
    first = await supervised.ready()
    database = supervised.settings.database_path
    ours = await remember(supervised.legacy.address[1], "in the WAL when the daemon dies")
    kill(first.pid)
    in_another_process(COMMIT_A_ROW, str(database))
    in_another_process(OPEN_READ_CLOSE, str(database))
    await supervised.next_child(first.pid)
    listed = {row["id"] for row in (await supervised.get("/api/memories")).json()["memories"]}
    assert listed == {ours, "theirs"}


async def test_a_daemon_that_migrates_at_a_later_boot_is_booted_again_and_loses_nothing(supervise: Supervise) -> None:
    supervised: Supervised = await supervise(daemons.MIGRATES_WHEN_ASKED)
    first = await supervised.ready()
    database = supervised.settings.database_path
    inode = wal(database).stat().st_ino
    (supervised.settings.home_path / "migrate").touch()
    kill(first.pid)
    second = await supervised.next_child(first.pid)
    (migrating,) = {status.pid for status in supervised.seen if status.reason and "was migrated" in status.reason}
    assert migrating not in {first.pid, second.pid}
    assert (second.lock_visible, second.restarts) == (True, 1)
    assert wal(database).stat().st_ino == inode, "the anchor kept the WAL through all of it"
    await supervised.legacy.stop(3.0)
    notes = in_another_process(READ_NOTES, str(database)).splitlines()
    assert {f"from {first.pid}", f"from {migrating}", f"from {second.pid}"} <= set(notes)


async def test_after_the_stop_the_database_is_one_complete_file(supervise: Supervise, tmp_path: Path) -> None:
    supervised: Supervised = await supervise(None)
    await supervised.ready()
    saved = await remember(supervised.legacy.address[1], "in the file itself")
    await supervised.legacy.stop(3.0)
    database = supervised.settings.database_path
    assert not wal(database).exists()
    copy = tmp_path / "copy.db"
    copy.write_bytes(database.read_bytes())
    assert ids(copy) == {saved}


async def test_the_anchor_does_not_keep_the_daemon_from_checkpointing(supervise: Supervise) -> None:
    supervised: Supervised = await supervise(None)
    await supervised.ready()
    await remember(supervised.legacy.address[1], "to be checkpointed")
    source = """
import sqlite3, sys
print(*sqlite3.connect(sys.argv[1]).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
"""
    busy, left, moved = in_another_process(source, str(supervised.settings.database_path)).split()
    assert (busy, left, moved) == ("0", "0", "0")
