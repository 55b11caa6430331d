"""Accesses are written before the answer, add up, and outlast a lock that another program holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from native_routes.recall import access_tracking
from tests.native_routes.recall_requests import Context, context_of, ids
from tests.native_routes.vector_home import VectorHome


@pytest.fixture
def home(tmp_path: Path) -> VectorHome:
    return VectorHome(tmp_path / "memories.db")


@pytest.fixture
async def context(home: VectorHome) -> AsyncIterator[Context]:
    async with context_of(home) as context:
        yield context


def uses(home: VectorHome) -> dict[str, tuple[Any, Any]]:
    rows = home.execute("SELECT id, access_count, last_accessed FROM memories")
    return {name: (count, last) for name, count, last in rows}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0.01)


async def test_an_access_is_written_when_the_answer_comes(home: VectorHome, context: Context) -> None:
    home.memory("found", content="tea", access_count=4)
    home.memory("other", content="coffee")

    await context.recall("tea")

    assert uses(home) == {"found": (5, "2026-11-21 04:06:40"), "other": (0, None)}


async def test_accesses_of_many_recalls_at_once_add_up(home: VectorHome, context: Context) -> None:
    for number in range(20):
        home.memory(f"m{number}", content=f"tea word{number}")

    await asyncio.gather(*(context.recall(f"tea word{number % 20}", limit=1) for number in range(200)))

    assert {count for count, _ in uses(home).values()} == {10}
    assert context.tracker.lost == 0


async def test_what_is_not_shown_and_what_search_shows_is_no_access(home: VectorHome, context: Context) -> None:
    home.add(2)
    await context.recall("text", limit=0)
    await context.search("/memory/search?q=text")
    await context.similar("/memory/similar?id=m1")

    assert {count for count, _ in uses(home).values()} == {0}


@pytest.mark.parametrize(("stored", "counted"), [(None, None), ("many", 1), (2.5, 3.5), (-3, -2)])
async def test_any_stored_count_goes_up_as_in_sqlite(
    home: VectorHome, context: Context, stored: Any, counted: Any
) -> None:
    home.memory("m", content="tea", access_count=stored)

    await context.recall("tea")

    assert uses(home)["m"][0] == counted


async def test_the_full_text_index_stays_whole_without_its_trigger(home: VectorHome, context: Context) -> None:
    home.memory("m", content="tea in the garden")
    await context.recall("tea")

    home.execute("INSERT INTO memories_fts(memories_fts, rank) VALUES ('integrity-check', 1)")
    home.execute("UPDATE memories SET content = 'coffee' WHERE id = 'm'")  # the trigger is off for our writes alone
    assert ids(await context.recall("coffee")) == ["m"]


async def test_answers_do_not_wait_for_a_lock_and_its_counts_come_later(home: VectorHome, context: Context) -> None:
    home.memory("m", content="tea")
    await context.recall("warm")
    home.execute("BEGIN IMMEDIATE")

    began = time.monotonic()
    for _ in range(10):
        assert ids(await context.recall("tea")) == ["m"]
    assert time.monotonic() - began < 5.0
    assert context.tracker.problem is not None
    home.execute("COMMIT")

    await until(lambda: uses(home)["m"][0] == 10)  # written without another request
    await until(lambda: context.tracker.problem is None)


async def test_what_waits_for_a_lock_is_written_by_close(home: VectorHome) -> None:
    home.memory("m", content="tea")
    async with context_of(home) as context:
        home.execute("BEGIN IMMEDIATE")
        await context.recall("tea")
        assert context.tracker.due
        home.execute("COMMIT")

    assert uses(home)["m"][0] == 1
    assert context.tracker.lost == 0


async def test_close_gives_up_in_time_and_tells_what_was_lost(
    home: VectorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("native_routes.searching.vectors.LAST_WRITE_S", 0.1)
    home.memory("m", content="tea")
    async with context_of(home) as context:
        home.execute("BEGIN IMMEDIATE")
        await context.recall("tea")
    home.execute("COMMIT")

    assert uses(home)["m"][0] == 0
    assert context.tracker.lost == 1
    assert context.tracker.problem is not None


async def test_counts_are_bounded_while_the_database_refuses_writes(
    home: VectorHome, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_tracking, "MOST_PENDING", 1)
    home.memory("m", content="tea")
    home.memory("n", content="tea")
    home.execute("BEGIN IMMEDIATE")
    await context.recall("tea")
    home.execute("COMMIT")

    assert context.tracker.lost == 1


async def test_our_own_writes_leave_what_searches_know_alone(home: VectorHome, context: Context) -> None:
    home.add(5)
    await context.recall("text")
    version = await context.vectors.run(None, 0, lambda connection, _: connection.pragma("data_version"))
    await context.recall("text")

    assert uses(home)["m1"][0] == 2
    assert await context.vectors.run(None, 0, lambda connection, _: connection.pragma("data_version")) == version
