"""Signet's log on a disk that takes no more: nothing is lost as long as it fits into memory, and it is told."""

from __future__ import annotations

import contextlib
import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from native_routes.daemon_log import DaemonLog
from tests.native_routes.asking import StoppedClock


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def entries(folder: Path) -> tuple[list[str], int]:
    """Messages, and how many lines are none."""
    messages, others = [], 0
    for line in next(folder.glob("signet-*.log")).read_text().splitlines():
        try:
            messages.append(json.loads(line)["message"])
        except ValueError:
            others += 1
    return messages, others


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("signet-*.log"))


@pytest.mark.parametrize("room", [*range(3_000, 3_100, 7), 1, 0])
async def test_what_a_full_disk_took_a_part_of_is_written_when_there_is_room(tmp_path: Path, room: int) -> None:
    log = DaemonLog(tmp_path, StoppedClock())
    for number in range(50):
        log.info("memory", f"entry {number}")
    for more in (0, 1, 200):
        with no_file_larger_than(room + more):
            await log._flush()
        assert log.problem
    log.info("memory", "later")
    await log.close()

    messages, others = entries(tmp_path)
    assert messages == [*(f"entry {number}" for number in range(50)), "later"]
    assert others <= 3  # the half lines, each for itself
    assert (log.problem, log.lost) == (None, 0)


async def test_a_line_that_was_taken_whole_is_not_followed_by_a_blank_one(tmp_path: Path) -> None:
    log = DaemonLog(tmp_path, StoppedClock())
    log.info("memory", "one")
    await log._flush()
    size = size_of(tmp_path)
    log.info("memory", "two")
    log.info("memory", "six")
    with no_file_larger_than(2 * size):
        await log._flush()
    await log.close()

    assert entries(tmp_path) == (["one", "two", "six"], 0)
