"""A disk that takes no more in the middle of writing: what was answered is kept, what failed leaves nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from native_routes.database import DatabaseError
from native_routes.query import Command
from native_routes.writer import Writer
from tests.native_routes.home_database import HomeDatabase

LIMIT_BYTES = 600_000
PUT = Command("INSERT INTO memories (id, content, created_at, updated_at) VALUES (:id, :content, '', '')")


async def write_until_full(path: Path) -> list[str]:
    """Ids that were acknowledged, by several clients; a file grows no further than LIMIT_BYTES."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
    writer, kept = Writer(path), []
    failures = 0

    async def client(name: str) -> None:
        nonlocal failures
        for number in range(200):
            memory_id = f"{name}{number}"
            try:
                await writer.run(partial(PUT.run, id=memory_id, content="text " * 200))
            except DatabaseError:
                failures += 1
                return
            kept.append(memory_id)

    await asyncio.gather(*(client(name) for name in "abcd"))
    assert failures == 4
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await writer.run(lambda connection: PUT.run(connection, id="afterwards", content="there is room again"))
    await writer.close()
    return [*kept, "afterwards"]


def test_what_a_full_disk_has_acknowledged_is_kept_and_nothing_else(tmp_path: Path) -> None:
    home = HomeDatabase(tmp_path / "memories.db")
    command = [sys.executable, "-m", "tests.native_routes.test_writer_disk", str(home.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    kept = json.loads(done.stdout)
    assert len(kept) > 10
    assert {row[0] for row in home.execute("SELECT id FROM memories")} == set(kept)
    assert home.execute("PRAGMA integrity_check") == [("ok",)]
    home.execute("INSERT INTO memories_fts(memories_fts, rank) VALUES('integrity-check', 1)")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(write_until_full(Path(sys.argv[1])))))
