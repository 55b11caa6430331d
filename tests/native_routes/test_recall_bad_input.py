"""Whatever comes: an answer in time, an event loop that goes on, and a name for what was left out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from native_routes.memory_config import EmbeddingConfig, MemoryConfig
from native_routes.recall.search import Searcher
from native_routes.reply import Reply
from native_routes.searching import embedders, vectors
from native_routes.searching.embedders import EmbedderState
from native_routes.searching.vectors import VectorMode
from tests.native_routes.loopback_embedder import LoopbackEmbedder, text_vector
from tests.native_routes.memories_requests import Heard
from tests.native_routes.recall_requests import Context, body, context_of, ids
from tests.native_routes.vector_home import VectorHome

T = TypeVar("T")
LOOP_FREE_S = 1.5  # generous, because other tests run beside this one; a blocked loop takes seconds
IN_TIME_S = 12.0


@pytest.fixture
def home(tmp_path: Path) -> VectorHome:
    home = VectorHome(tmp_path / "memories.db")
    home.execute("BEGIN")
    for number in range(300):
        home.memory(f"tea{number}", content=f"tea and word{number} " + "green garden " * 20)
    home.execute("COMMIT")
    return home


@pytest.fixture
async def context(home: VectorHome) -> AsyncIterator[Context]:
    async with context_of(home) as context:
        yield context


async def watched(answer: Awaitable[T]) -> T:
    """The answer, which must come in time while the loop goes on."""
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    watch = asyncio.get_running_loop().create_task(look())
    try:
        async with asyncio.timeout(IN_TIME_S):
            return await answer
    finally:
        watch.cancel()
        assert longest < LOOP_FREE_S


async def test_a_query_of_a_megabyte_is_answered(context: Context) -> None:
    for query in ("x" * 1_000_000, "\U0001f600" * 250_000, "tea" + "(" * 999_997):
        reply = await watched(context.recall(query))
        assert reply.status == 200


async def test_words_that_take_too_long_are_left_out_and_told(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ids(await watched(context.recall("tea " * 101)))  # opens the second thread, which takes its time
    monkeypatch.setattr(vectors, "ASIDE_WITHIN_S", 1.0)
    endless = "garden " * 1_200  # seconds, in a function of FTS5 that nothing stops

    assert ids(await watched(context.recall(endless))) == []
    assert context.searcher.failed_steps["keywords"] == 1
    assert "keywords" in (context.searcher.last_failure or "")
    # The thread is still at it: others go on, the next long one is left out too, and close does not wait.
    assert len(ids(await watched(context.recall("tea", limit=3)))) == 3
    assert ids(await watched(context.recall("tea " * 200))) == []
    assert len(ids(await watched(context.search("/memory/search?q=tea&limit=3")))) == 3
    await watched(context.vectors.close())


@pytest.mark.parametrize(
    "query",
    ["(" * 5_000, '"' * 5_001, "tea OR " * 60 + "tea", "NEAR(" * 300, "te* " * 100, "NOT " * 300, "-" * 9_000,
     "tea AND (" * 500, "\x00" * 1_000, "{a b c}:" * 500],
    ids=lambda query: query[:8],
)  # fmt: skip
async def test_fts_syntax_bombs_are_answered(context: Context, query: str) -> None:
    assert (await watched(context.recall(query))).status == 200
    answers = body(await watched(context.search(f"/memory/search?q={query.replace(' ', '+')}")))
    assert "results" in answers


@pytest.mark.parametrize("limit", ["1000000000", "9007199254740991", "-1000000000"])
async def test_huge_limits_are_answered(context: Context, limit: str) -> None:
    assert len(ids(await watched(context.search(f"/memory/search?q=tea&limit={limit}")))) == 300
    assert len(ids(await watched(context.recall("tea", limit=1e9)))) == 20


async def test_a_vector_of_the_wrong_length_and_one_of_zeros_are_answered(home: VectorHome) -> None:
    home.add(5)
    for behaviour in ("sends half", "sends zeros", "sends text"):
        async with LoopbackEmbedder(behaviour) as service, context_of(home, asking(service)) as context:
            assert (await watched(context.recall("tea"))).status == 200


async def test_an_embedder_that_hangs_leaves_words(home: VectorHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "TIMEOUT_S", 0.2)
    async with LoopbackEmbedder("hangs") as service, context_of(home, asking(service)) as context:
        reply = await watched(context.recall("tea", limit=3))

        assert body(reply)["method"] == "keyword"
        assert len(ids(reply)) == 3
        assert context.embedder.status.state is EmbedderState.COOLING
        assert "did not answer" in (context.embedder.status.problem or "")


async def test_a_hanging_embedder_does_not_hold_up_other_requests(home: VectorHome) -> None:
    home.add(3)
    async with LoopbackEmbedder("hangs") as service, context_of(home, asking(service)) as context:
        hanging = asyncio.ensure_future(context.recall("tea"))
        await service.was_asked.wait()

        assert len(ids(await watched(context.search("/memory/search?q=tea&limit=3")))) == 3
        assert len(ids(await watched(context.similar("/memory/similar?id=m1")))) == 2
        service.release.set()
        assert (await hanging).status == 200


async def test_a_damaged_full_text_index_leaves_the_vectors(home: VectorHome) -> None:
    home.embedding("e", "tea5", text_vector("tea"))
    home.execute("UPDATE memories_fts_data SET block = x'00ff00ff00ff' WHERE id > 1")
    async with LoopbackEmbedder() as service, context_of(home, asking(service)) as context:
        reply = await watched(context.recall("tea", limit=3))

        assert body(reply)["method"] == "hybrid"
        assert ids(reply) == ["tea5"]
        assert context.searcher.failed_steps["keywords"] == 1
        assert (await watched(context.search("/memory/search?q=tea"))).status == 200


async def test_a_damaged_vector_table_leaves_the_words(home: VectorHome) -> None:
    home.add(3)
    home.execute("DELETE FROM vec_embeddings_vector_chunks00")
    async with LoopbackEmbedder() as service, context_of(home, asking(service)) as context:
        assert len(ids(await watched(context.recall("tea", limit=3)))) == 3
        assert context.vectors.status.mode is VectorMode.SQLITE
        assert "has no vectors" in (context.vectors.status.reason or "")


async def test_reads_go_on_while_another_program_holds_the_lock(home: VectorHome, context: Context) -> None:
    home.add(3)
    home.execute("BEGIN IMMEDIATE")
    home.execute("UPDATE memories SET importance = 1")
    began = time.monotonic()
    replies: list[Reply] = []
    for number in range(20):
        replies.append(await watched(context.recall(f"tea word{number}")))
    replies.append(await watched(context.search("/memory/search?q=tea")))
    replies.append(await watched(context.similar("/memory/similar?id=m1")))
    home.execute("ROLLBACK")

    assert {reply.status for reply in replies} == {200}
    assert time.monotonic() - began < 5.0


async def test_a_home_that_is_no_database_fails_as_legacy(tmp_path: Path) -> None:
    home = VectorHome(tmp_path / "other.db")
    (tmp_path / "broken.db").write_bytes(b"no database at all" * 1_000)
    home.path = tmp_path / "broken.db"
    async with context_of(home) as context:
        assert (await watched(context.recall("tea"))).body == b'{"error":"Recall failed","results":[]}'
        assert body(await watched(context.search("/memory/search?q=tea"))) == {"results": [], "error": "Search failed"}
        assert body(await watched(context.similar("/memory/similar?id=m"))) == {
            "error": "Similarity search failed",
            "results": [],
        }


async def test_too_many_waiting_searches_are_refused(home: VectorHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("native_routes.searching.vectors.WAITING", 5)
    async with context_of(home) as context:
        replies = await asyncio.gather(*(context.recall("tea") for _ in range(40)))

    statuses = {reply.status for reply in replies}
    assert statuses == {200, 500}


def asking(service: LoopbackEmbedder) -> MemoryConfig:
    return replace(MemoryConfig.of({}), embedding=EmbeddingConfig(provider="ollama", model="m", base_url=service.url))


async def test_what_fails_is_told_to_signets_log_as_legacy_tells_it(home: VectorHome) -> None:
    told: list[tuple[str, str]] = []
    async with context_of(home) as context:
        context.searcher = Searcher(context.tracker, lambda message, error: told.append((message, error)))
        heard = Heard(context.daemon_log)
        assert ids(await context.recall("tea", type=["a"])) == []
        assert (await context.recall("tea", tags=5)).status == 500
        await context.search("/memory/search?q=a&limit=x")
        await context.similar("/memory/similar?id=tea1")

    not_bound = "Binding expected string, TypedArray, boolean, number, bigint or null"
    assert told == [("FTS search failed, continuing with vector only", not_bound)]
    assert heard.told == [("error", "memory", "Recall failed"), ("error", "memory", "Error searching memories")]
