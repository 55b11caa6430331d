"""Works that many wait for and that are done at once: order, failures, equal memories, and whom they pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from native_routes.database import Connection, ConstraintViolated, DeadlineExceeded
from native_routes.query import Insertion
from native_routes.writer import Writer
from tests.native_routes.changing_home import NO_EMBEDDER, ChangingHome, changing_home, ollama
from tests.native_routes.home_database import HomeDatabase
from tests.native_routes.loopback_embedder import LoopbackEmbedder
from tests.native_routes.test_remember import NO_PIPELINE, PIPELINE, REMEMBER, vectors
from tests.native_routes.test_writer import ENDLESS, Gate, ids, queued

PUT = Insertion("INSERT INTO memories (id, content, created_at, updated_at) VALUES (:id, :content, 'now', 'now')")


@pytest.fixture
def home(tmp_path: Path) -> HomeDatabase:
    return HomeDatabase(tmp_path / "memories.db")


@pytest.fixture
async def writer(home: HomeDatabase) -> AsyncIterator[Writer]:
    writer = Writer(home.path)
    yield writer
    await writer.close()


def put_all(connection: Connection, names: Sequence[str]) -> list[tuple[str, int]]:
    """Each with the number of those that were put at once."""
    PUT.run_all(connection, [{"id": name, "content": name} for name in names])
    return [(name, len(names)) for name in names]


def count_all(connection: Connection, names: Sequence[str]) -> list[Any]:
    return [connection.execute("SELECT count(*) FROM memories").get for _ in names]


async def behind(gate: Gate, writer: Writer, *runs: Callable[[], Any]) -> list[Any]:
    """Results or errors of what was begun, one after the other, while the thread was held."""
    first = asyncio.create_task(writer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    tasks = [asyncio.create_task(run()) for run in runs]
    await queued(writer, 1 + len(runs))
    gate.opened.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_those_who_wait_are_served_at_once_and_each_hears_its_own_result(
    home: HomeDatabase, writer: Writer
) -> None:
    told = await behind(Gate(), writer, *(partial(writer.run_together, put_all, name) for name in "abc"))
    assert told == [("a", 3), ("b", 3), ("c", 3)]
    assert home.execute("SELECT id FROM memories ORDER BY rowid") == [("a",), ("b",), ("c",)]
    assert (writer.counts.works, writer.counts.transactions, writer.counts.again) == (4, 2, 0)


async def test_one_that_fails_does_so_alone(home: HomeDatabase, writer: Writer) -> None:
    home.memory("b")
    told = await behind(Gate(), writer, *(partial(writer.run_together, put_all, name) for name in "abc"))
    assert (told[0], told[2]) == (("a", 1), ("c", 1))
    assert isinstance(told[1], ConstraintViolated)
    assert ids(home) == {"a", "b", "c"}
    assert home.execute("PRAGMA integrity_check") == [("ok",)]


async def test_other_kinds_may_be_passed_but_no_work_that_is_done_alone(home: HomeDatabase, writer: Writer) -> None:
    together = partial(writer.run_together, put_all)
    count = partial(writer.run, lambda connection: count_all(connection, "1")[0])
    told = await behind(
        Gate(), writer,
        partial(together, "a"), partial(writer.run_together, count_all, "1"), partial(together, "b"), count,
        partial(together, "c"),
    )  # fmt: skip
    assert told == [("a", 2), 2, ("b", 2), 2, ("c", 1)]


async def test_a_caller_that_left_before_is_not_among_those_served(home: HomeDatabase, writer: Writer) -> None:
    gate = Gate()
    first = asyncio.create_task(writer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    tasks = [asyncio.create_task(writer.run_together(put_all, name)) for name in "abc"]
    await queued(writer, 4)
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    gate.opened.set()
    await first
    assert [await tasks[0], await tasks[2]] == [("a", 2), ("c", 2)]
    assert ids(home) == {"a", "c"}


async def test_the_shortest_patience_counts_and_then_each_has_its_own(home: HomeDatabase, writer: Writer) -> None:
    def endless_for_x(connection: Connection, names: Sequence[str]) -> Sequence[object]:
        if "x" in names:
            connection.execute(ENDLESS).fetchall()
        return put_all(connection, names)

    told = await behind(
        Gate(), writer,
        partial(writer.run_together, endless_for_x, "a"),
        partial(writer.run_together, endless_for_x, "x", deadline_s=0.3),
    )  # fmt: skip
    assert told[0] == ("a", 1)
    assert isinstance(told[1], DeadlineExceeded)
    assert ids(home) == {"a"}


async def test_what_waits_when_the_writer_is_closed_is_still_written(home: HomeDatabase) -> None:
    writer = Writer(home.path)
    await writer.run_together(put_all, "a")
    late = asyncio.create_task(writer.run_together(put_all, "b"))
    await queued(writer, 1)
    await writer.close()
    assert await late == ("b", 1)
    assert ids(home) == {"a", "b"}


async def remember_at_once(home: ChangingHome, *bodies: dict[str, Any]) -> list[Any]:
    """Answers to requests whose memories reach the thread together."""
    gate = Gate()
    first = asyncio.create_task(home.writer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    asked: list[asyncio.Task[Any]] = []
    for body in bodies:  # one after the other: a first request has modules and files to wait for
        asked.append(asyncio.create_task(home.told("POST", REMEMBER, body)))
        await queued(home.writer, 1 + len(asked))
    gate.opened.set()
    await first
    return [(await task)[1] for task in asked]


async def test_equal_memories_that_come_together_are_stored_once(tmp_path: Path) -> None:
    async with LoopbackEmbedder() as embedder, changing_home(tmp_path, ollama(embedder.url) + NO_PIPELINE) as home:
        told = await remember_at_once(
            home,
            {"content": "Tea at five", "tags": "one"},
            {"content": "violin", "sourceId": "s"},
            {"content": "TEA at   five!"},
            {"content": "harbour", "sourceId": "s"},
            {"content": "garden"},
        )
        assert [one.get("deduped", False) for one in told] == [False, False, True, True, False]
        assert (told[2]["id"], told[2]["tags"], told[2]["content"]) == (told[0]["id"], "one", "Tea at five")
        assert (told[3]["id"], told[3]["content"]) == (told[1]["id"], "violin")
        assert embedder.asked == {"Tea at five": 1, "violin": 1, "garden": 1}
        assert home.database.execute("SELECT content FROM memories ORDER BY rowid") == [
            ("Tea at five",), ("violin",), ("garden",),
        ]  # fmt: skip
        assert sorted(row[4] for row in vectors(home)) == ["Tea at five", "garden", "violin"]
        assert home.database.execute("SELECT DISTINCT embedding_model FROM memories") == [("loopback",)]
        assert home.matches("tea") == [told[0]["id"]]
        home.check_full_text()


async def test_sources_that_are_stored_alike_are_one_source(tmp_path: Path) -> None:
    async with changing_home(tmp_path, NO_EMBEDDER + NO_PIPELINE) as home:
        told = await remember_at_once(
            home, {"content": "violin", "sourceId": "s\ud800"}, {"content": "harbour", "sourceId": "s\ufffd"}
        )
        assert [memory.get("deduped", False) for memory in told] == [False, True]
        assert home.database.execute("SELECT content FROM memories") == [("violin",)]


async def test_a_value_without_a_form_fails_its_own_request_only(tmp_path: Path) -> None:
    async with changing_home(tmp_path, NO_EMBEDDER + PIPELINE) as home:
        told = await remember_at_once(
            home, {"content": "first"}, {"content": "second", "who": ["a", "list"]}, {"content": "third"}
        )
        assert told[1] == {"error": "Failed to save memory"}
        assert home.database.execute("SELECT content FROM memories ORDER BY rowid") == [("first",), ("third",)]
        # Which of the two is ready first, nobody says.
        jobs = home.database.execute("SELECT memory_id, status FROM memory_jobs")
        assert sorted(jobs) == sorted([(told[0]["id"], "pending"), (told[2]["id"], "pending")])


async def test_the_vector_of_a_forgotten_memory_keeps_only_its_like_out(tmp_path: Path) -> None:
    async with LoopbackEmbedder() as embedder, changing_home(tmp_path, ollama(embedder.url) + NO_PIPELINE) as home:
        await home.told("POST", REMEMBER, {"content": "tea"})
        home.database.execute("UPDATE memories SET is_deleted = 1")
        told = await remember_at_once(home, {"content": "violin"}, {"content": "tea"}, {"content": "garden"})
        assert [one["embedded"] for one in told] == [True, False, True]
        assert sorted(row[4] for row in vectors(home)) == ["garden", "tea", "violin"]


async def test_vectors_are_kept_where_the_index_takes_none_of_them(tmp_path: Path) -> None:
    async with LoopbackEmbedder() as embedder, changing_home(tmp_path, ollama(embedder.url) + NO_PIPELINE) as home:
        home.database.execute("DROP TABLE vec_embeddings")
        told = await remember_at_once(home, {"content": "violin"}, {"content": "tea"})
        assert [one["embedded"] for one in told] == [True, True]
        assert home.database.execute("SELECT count(*) FROM embeddings") == [(2,)]
