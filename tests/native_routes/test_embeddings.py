"""List and health of embeddings. Expected bytes were answered by Signet 0.58.1 for the same rows."""

from __future__ import annotations

import asyncio
import math
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw.ext
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native_routes.embeddings import GROUP, queries
from native_routes.embeddings.listing import floats_json
from native_routes.javascript.primitives import stringify
from native_routes.query import Query
from tests.native_routes.asking import ask, value
from tests.native_routes.home_database import HomeDatabase
from tests.native_routes.status_context import Context, context_for

UNLISTED = {"embeddings": [], "count": 0, "total": 0, "limit": 600, "offset": 0, "hasMore": False}


class Home(HomeDatabase):
    def embedding(self, memory_id: Any, vector: Any = b"", *, indexed: bool = False, **columns: Any) -> None:
        self.events += 1
        name = f"embedding-{self.events}"
        values = {"id": name, "content_hash": name, "vector": vector, "dimensions": 3, "source_type": "memory",
                  "source_id": memory_id, "chunk_text": "", "created_at": ""}  # fmt: skip
        self.row("embeddings", {**values, **columns})
        if indexed:
            self.row("vec_embeddings", {"id": name, "embedding": floats(*[0.5] * 768)})


def floats(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "memory").mkdir()
    return Home(tmp_path / "memory" / "memories.db")


@pytest.fixture
async def context(home: Home, tmp_path: Path) -> AsyncIterator[Context]:
    async with context_for(tmp_path) as made:
        made.configure("embedding:\n  provider: none\n")
        yield made


async def checks(context: Context) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in value(await ask(context, "GET", "/api/embeddings/health"))["checks"]}


async def test_list_shows_memories_with_an_embedding_newest_first(home: Home, context: Context) -> None:
    home.memory("old", content="a 😀", tags='["x", 5, "y,z"]', created_at="2025-01-01", is_deleted=1)
    home.memory("new", who="ann", importance=1.0, type="rule", tags=" a ,, b", source_type="note", source_id="s")
    home.memory("bare")
    home.embedding("old")
    home.embedding("new")
    home.embedding("bare", source_type="document")
    home.embedding("nobody")
    reply = await ask(context, "GET", "/api/embeddings")
    assert (reply.status, reply.headers) == (200, ((b"content-type", b"application/json"),))
    assert reply.body.decode() == (
        '{"embeddings":[{"id":"new","content":"text","text":"text","who":"ann","importance":1,"type":"rule",'
        '"tags":["a","b"],"sourceType":"note","sourceId":"s","createdAt":"2026-01-01T00:00:00.000Z"},'
        '{"id":"old","content":"a 😀","text":"a 😀","who":"unknown","importance":0.5,"type":"fact","tags":["x","y,z"],'
        '"sourceType":"memory","sourceId":"old","createdAt":"2025-01-01"}],'
        '"count":2,"total":2,"limit":600,"offset":0,"hasMore":false}'
    )


@pytest.mark.parametrize(
    ("query", "limit", "offset"),
    [("", 600, 0), ("limit=1", 50, 0), ("limit=9999", 5000, 0), ("limit=70x&offset=2e1", 70, 2), ("limit=abc", 600, 0),
     ("limit=&offset=", 600, 0), ("offset=-1", 600, 0), ("offset=100001", 600, 100_000), ("limit=50.9", 50, 0),
     (f"limit={'9' * 400}", 600, 0), ("limit=51&limit=60", 51, 0)],
)  # fmt: skip
async def test_list_bounds_what_is_asked_for(context: Context, query: str, limit: int, offset: int) -> None:
    shown = value(await ask(context, "GET", f"/api/embeddings?{query}"))
    assert (shown["limit"], shown["offset"]) == (limit, offset)


async def test_page_says_whether_there_is_more(home: Home, context: Context) -> None:
    home.memory("m")
    for _ in range(52):
        home.embedding("m")
    shown = value(await ask(context, "GET", "/api/embeddings?limit=50"))
    assert (shown["count"], shown["total"], shown["hasMore"]) == (50, 52, True)
    shown = value(await ask(context, "GET", "/api/embeddings?limit=50&offset=2"))
    assert (shown["count"], shown["total"], shown["hasMore"]) == (50, 52, False)


@pytest.mark.parametrize(
    ("vector", "dimensions", "shown"),
    [
        (floats(1, -0.5, 0.1), 3, "[1,-0.5,0.10000000149011612]"),
        (floats(1, 2, 3), 2, "[1,2]"),
        (floats(1, 2, 3), 2.5, "[1,2]"),
        (floats(1, 2, 3), 4, "[1,2,3]"),
        (floats(1, 2, 3), "two", "[1,2,3]"),
        (floats(1, 2), 0, "[1,2]"),
        (floats(math.nan, math.inf, -math.inf, -0.0), 4, "[null,null,null,0]"),
        (bytes.fromhex("01000000FFFF7F7F0000004B"), 3, "[1.401298464324817e-45,3.4028234663852886e+38,8388608]"),
        (floats(1e-7, 5e-5, 1e22), 3, "[1.0000000116860974e-7,0.00004999999873689376,9.999999778196308e+21]"),
        (b"", 3, "[]"),
    ],
)
async def test_vector_is_written_as_javascript_writes_a_float32_array(
    home: Home, context: Context, vector: bytes, dimensions: Any, shown: str
) -> None:
    home.memory("m")
    home.embedding("m", vector, dimensions=dimensions)
    body = (await ask(context, "GET", "/api/embeddings?vectors=true")).body.decode()
    expected = shown.replace(
        "1e+21", "1e+21" if struct.unpack("<f", floats(1e21))[0] == 1e21 else "1.0000000200408773e+21"
    )
    assert f'"createdAt":"2026-01-01T00:00:00.000Z","vector":{expected}}}]' in body
    assert '"vector"' not in (await ask(context, "GET", "/api/embeddings?vectors=1")).body.decode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(width=32), max_size=12))
def test_numbers_of_a_vector_are_those_of_stringify(numbers: list[float]) -> None:
    assert floats_json(tuple(numbers)) == stringify(numbers)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(), max_size=12))
def test_numbers_of_double_width_are_those_of_stringify_too(numbers: list[float]) -> None:
    assert floats_json(tuple(numbers)) == stringify(numbers)


@pytest.mark.parametrize(
    ("vector", "error"),
    [(b"12345", "ArrayBuffer length minus the byteOffset is not a multiple of the element size"),
     ("text", "a vector is not stored as bytes"), (5, "a vector is not stored as bytes")],
)  # fmt: skip
async def test_one_unreadable_vector_ends_the_list_with_an_error(
    home: Home, context: Context, vector: Any, error: str
) -> None:
    home.memory("m")
    home.embedding("m", vector)
    reply = await ask(context, "GET", "/api/embeddings?vectors=true")
    assert (reply.status, value(reply)) == (200, {"error": error, **UNLISTED})
    assert value(await ask(context, "GET", "/api/embeddings"))["count"] == 1


@pytest.mark.parametrize("vector", ["", 0])
async def test_vector_that_javascript_takes_for_nothing_is_left_out(home: Home, context: Context, vector: Any) -> None:
    home.memory("m")
    home.embedding("m", vector)
    [item] = value(await ask(context, "GET", "/api/embeddings?vectors=true"))["embeddings"]
    assert "vector" not in item


async def test_tags_stored_as_bytes_end_the_list_with_an_error(home: Home, context: Context) -> None:
    home.memory("m", tags=b"a")
    home.embedding("m")
    shown = value(await ask(context, "GET", "/api/embeddings"))
    assert shown == {"error": "the tags of a memory are stored as bytes: expected text", **UNLISTED}


async def test_list_of_a_home_without_database_is_an_error_with_200(tmp_path: Path) -> None:
    async with context_for(tmp_path) as context:
        reply = await ask(context, "GET", "/api/embeddings")
    assert reply.status == 200
    assert value(reply)["error"]
    assert {name: value(reply)[name] for name in UNLISTED} == UNLISTED


async def test_long_list_with_vectors_leaves_the_event_loop_free(home: Home, context: Context) -> None:
    vector = floats(*[math.sin(number) / 30 for number in range(768)])
    with home.connection:
        for number in range(600):
            home.memory(f"m{number}")
            home.embedding(f"m{number}", vector, dimensions=768)
    listing = asyncio.ensure_future(ask(context, "GET", "/api/embeddings?vectors=true"))
    longest_s, turns = 0.0, 0
    while not listing.done():
        began_s = time.monotonic()
        await asyncio.sleep(0)
        longest_s, turns = max(longest_s, time.monotonic() - began_s), turns + 1
    assert value(await listing)["count"] == 600
    assert turns > 10
    assert longest_s < 0.3, "0.02 on an idle machine; the whole takes 0.3 and more"


async def test_health_of_a_home_without_memories_lacks_only_the_provider(context: Context) -> None:
    reply = await ask(context, "GET", "/api/embeddings/health")
    assert reply.body.decode() == (
        '{"status":"degraded","score":0.7,"checkedAt":"2026-11-21T04:06:40.000Z",'
        '"config":{"provider":"none","model":"nomic-embed-text-v1.5","dimensions":768},"checks":['
        '{"name":"provider-available","status":"fail",'
        '"message":"Embedding provider set to \'none\' — vector search disabled",'
        '"detail":{"provider":"none","base_url":"",'
        '"error":"Embedding provider set to \'none\' — vector search disabled"},'
        '"fix":"Verify your OpenAI API key and network connectivity"},'
        '{"name":"coverage","status":"ok","message":"No active memories to embed",'
        '"detail":{"total":0,"embedded":0,"coverage":1}},'
        '{"name":"dimension-mismatch","status":"ok","message":"No embeddings to check"},'
        '{"name":"model-drift","status":"ok","message":"No embedding models recorded"},'
        '{"name":"null-vectors","status":"ok","message":"No null or empty vectors found"},'
        '{"name":"vec-table-sync","status":"ok","message":"embeddings (0) and vec_embeddings (0) are in sync"},'
        '{"name":"orphaned-embeddings","status":"ok","message":"No orphaned embeddings found"}]}'
    )


@pytest.mark.parametrize(
    ("missing", "status", "message"),
    [(0, "ok", "100% of memories have embeddings"), (1, "ok", "95% of memories have embeddings"),
     (2, "warn", "90% coverage — 2 memories missing embeddings"),
     (4, "warn", "80% coverage — 4 memories missing embeddings"),
     (5, "fail", "75% coverage — 5 memories missing embeddings")],
)  # fmt: skip
async def test_coverage_counts_active_memories(
    home: Home, context: Context, missing: int, status: str, message: str
) -> None:
    for number in range(20):
        home.memory(f"m{number}")
        if number >= missing:
            home.embedding(f"m{number}")
    home.memory("forgotten", is_deleted=1)
    check = (await checks(context))["coverage"]
    assert (check["status"], check["message"]) == (status, message)


async def test_memory_with_two_embeddings_counts_twice(home: Home, context: Context) -> None:
    home.memory("m")
    home.embedding("m")
    home.embedding("m")
    detail = (await checks(context))["coverage"]["detail"]
    assert detail == {"total": 1, "embedded": 2, "unembedded": -1, "coverage": 200}


async def test_dimensions_models_vectors_and_orphans_are_told(home: Home, context: Context) -> None:
    home.memory("m", embedding_model="a")
    home.memory("gone", embedding_model="b", is_deleted=1)
    home.embedding("m", dimensions=768, indexed=True)
    home.embedding("gone", dimensions=384)
    home.embedding("nobody", dimensions="x")
    home.row("vec_embeddings", {"id": "stray", "embedding": floats(*[0.5] * 768)})
    found = await checks(context)
    assert found["dimension-mismatch"]["message"] == "Found dimensions [768, 384, x] but config expects 768"
    assert found["dimension-mismatch"]["detail"] == {"expected": 768, "found": [768, 384, "x"]}
    assert found["model-drift"]["message"] == "Mixed embedding models: a, b"
    assert found["null-vectors"]["detail"] == {"count": 2}
    assert found["vec-table-sync"]["detail"] == {"embeddings": 3, "vecEmbeddings": 2}
    assert found["orphaned-embeddings"]["detail"] == {"count": 2}


async def test_health_fails_as_the_daemon_does_where_vectors_cannot_be_read(home: Home, context: Context) -> None:
    home.execute("DROP TABLE vec_embeddings")
    reply = await ask(context, "GET", "/api/embeddings/health")
    assert (reply.status, reply.body) == (500, b"Internal Server Error")


def test_declared_tables_are_those_that_the_queries_touch(home: Home) -> None:
    touched: set[str] = set()
    for query in vars(queries).values():
        if isinstance(query, Query):
            info = apsw.ext.query_info(home.connection, query.sql, actions=True)
            assert info.is_readonly
            touched |= {action.table_name for action in info.actions or () if action.table_name}
    assert touched == GROUP.reads


def test_neither_group_needs_numpy() -> None:
    code = (
        "import sys; from native_routes.status import GROUP; from native_routes.embeddings import GROUP; "
        "assert 'numpy' not in sys.modules, 'numpy'"
    )
    subprocess.run((sys.executable, "-c", code), check=True, timeout=60)
