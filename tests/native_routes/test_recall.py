"""Recall's four routes on a real home: what is found, in which order, and how each refusal reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import apsw.ext
import pytest

from native_routes import GROUPS
from native_routes.memory_config import EmbeddingConfig, MemoryConfig
from native_routes.query import Query
from native_routes.recall import GROUP, access_tracking, keyword_search, queries, similar
from native_routes.recall.keyword_search import like_query, list_query, match_query
from native_routes.recall.queries import keyword_query, passing_query
from native_routes.searching import word_lists
from proxy.match import Matcher
from tests.native_routes.loopback_embedder import LoopbackEmbedder, text_vector
from tests.native_routes.recall_requests import WORDS_ALONE, Context, body, context_of, ids
from tests.native_routes.vector_home import VectorHome


@pytest.fixture
def home(tmp_path: Path) -> VectorHome:
    return VectorHome(tmp_path / "memories.db")


@pytest.fixture
async def context(home: VectorHome) -> AsyncIterator[Context]:
    async with context_of(home) as context:
        yield context


def ollama(service: LoopbackEmbedder) -> MemoryConfig:
    embedding = EmbeddingConfig(provider="ollama", model="m", base_url=service.url)
    return replace(MemoryConfig.of({}), embedding=embedding)


# ---- recall


async def test_recall_by_words_shows_every_field_of_a_memory(home: VectorHome, context: Context) -> None:
    home.memory("m", content="tea in the garden", tags="a,b", pinned=1, who="ann", project="/p")
    home.memory("n", content="coffee")

    assert body(await context.recall("  tea ")) == {
        "results": [
            {
                "id": "m", "content": "tea in the garden", "content_length": 17, "truncated": False, "score": 1,
                "source": "keyword", "type": "fact", "tags": "a,b", "pinned": True, "importance": 0.5, "who": "ann",
                "project": "/p", "created_at": "2026-01-01T00:00:00.000Z",
            }
        ],
        "query": "tea",
        "method": "keyword",
    }  # fmt: skip


async def test_recall_merges_words_and_meaning(home: VectorHome) -> None:
    for name, content in (("both", "green tea"), ("words", "tea tea tea"), ("meaning", "jasmine")):
        home.memory(name, content=content)
    home.embedding("e1", "both", text_vector("green tea"))
    home.embedding("e2", "meaning", text_vector("green tea leaves"))
    async with LoopbackEmbedder() as service, context_of(home, ollama(service)) as context:
        found = body(await context.recall("green tea"))

    assert [(result["id"], result["source"]) for result in found["results"]] == [
        ("both", "hybrid"),
        ("meaning", "vector"),
    ]
    assert found["method"] == "hybrid"


async def test_recall_goes_on_with_words_when_the_vector_has_another_length(home: VectorHome) -> None:
    home.memory("m", content="green tea")
    home.embedding("e", "m", text_vector("green tea"))
    async with LoopbackEmbedder("sends half") as service, context_of(home, ollama(service)) as context:
        found = body(await context.recall("green tea"))

    assert (found["method"], [result["id"] for result in found["results"]]) == ("keyword", ["m"])


@pytest.mark.parametrize("stored", [b"\0\1\2", b"", 5, "text"], ids=str)
async def test_reranking_sees_no_likeness_in_a_vector_without_numbers(home: VectorHome, stored: Any) -> None:
    for name in ("plain", "broken"):
        home.memory(name, content="green tea")
    home.embedding("e", "broken", text_vector("green tea"))
    home.execute("UPDATE embeddings SET vector = ?", (stored,))
    home.execute("DELETE FROM vec_embeddings")
    async with LoopbackEmbedder() as service, context_of(home, ollama(service)) as context:
        found = body(await context.recall("green tea"))

    assert [(result["id"], result["score"]) for result in found["results"]] == [("plain", 1), ("broken", 0.5)]


async def test_reranking_goes_on_without_a_table_of_vectors(home: VectorHome) -> None:
    for name in ("first", "second"):
        home.memory(name, content="tea")
    home.execute("DROP TABLE embeddings")
    async with LoopbackEmbedder() as service, context_of(home, ollama(service)) as context:
        found = body(await context.recall("tea"))

    assert [(result["id"], result["score"]) for result in found["results"]] == [("first", 1), ("second", 0.5)]


@pytest.mark.parametrize(
    ("count", "last", "score"), [("x''", None, 1), ("x'07'", None, 1.21), ("7", "x'07'", 1), ("7", "x''", None)]
)
async def test_uses_stored_as_bytes_count_as_their_text(
    home: VectorHome, count: str, last: str | None, score: float | None
) -> None:
    """A count of x'07' plus 1 is the text 71; as a date it is the seventh month of 2001, and x'' is none."""
    home.memory("m", content="tea")
    home.execute(f"UPDATE memories SET access_count = {count}, last_accessed = {last or 'NULL'}")  # noqa: S608
    async with context_of(home, replace(WORDS_ALONE, reranker=replace(WORDS_ALONE.reranker, enabled=False))) as context:
        (found,) = body(await context.recall("tea"))["results"]

    assert found["score"] == score


@pytest.mark.parametrize(
    ("limit", "count"),
    [(None, 10), (1, 1), (1.9, 1), ("2", 2), (1e9, 12), (-10, 2), (0, 0), ("x", 0), (True, 1), ([3], 3), ({}, 0)],
)
async def test_recall_cuts_as_slice_does(home: VectorHome, context: Context, limit: Any, count: int) -> None:
    for number in range(12):
        home.memory(f"m{number}", content="tea")

    assert len(ids(await context.recall("tea", limit=limit))) == count


async def test_filters_hold_for_words(home: VectorHome, context: Context) -> None:
    home.memory("m", content="tea", type="rule", who="ann", tags="work,x", pinned=1, importance=0.9)
    home.memory("n", content="tea")

    for filter in ({"type": "rule"}, {"who": "ann"}, {"tags": "work"}, {"pinned": True}, {"importance_min": 0.8}):
        assert ids(await context.recall("tea", **filter)) == ["m"], filter
    assert ids(await context.recall("tea", since="2027")) == []
    assert ids(await context.recall("tea", until="2025")) == []


@pytest.mark.parametrize(
    ("sent", "status", "answer"),
    [
        (b"{", 400, '{"error":"Invalid JSON body"}'),
        (b"", 400, '{"error":"Invalid JSON body"}'),
        (b"\xef\xbb\xbf{}", 400, '{"error":"query is required"}'),
        ({}, 400, '{"error":"query is required"}'),
        ([], 400, '{"error":"query is required"}'),
        ({"query": " \ufeff"}, 400, '{"error":"query is required"}'),
        (b"null", 500, "Internal Server Error"),
        ({"query": 5}, 500, "Internal Server Error"),
        ({"query": "x", "tags": ["a"]}, 500, '{"error":"Recall failed","results":[]}'),
        ({"query": "x", "keywordQuery": 5}, 500, '{"error":"Recall failed","results":[]}'),
    ],
)
async def test_recall_refuses_as_legacy(context: Context, sent: Any, status: int, answer: str) -> None:
    reply = await context.post(sent)

    assert (reply.status, reply.body.decode()) == (status, answer)


async def test_long_content_is_cut_in_utf16_units(home: VectorHome) -> None:
    home.memory("m", content="tea " + "\U0001f600" * 50)
    async with context_of(home, replace(WORDS_ALONE, recall_truncate_chars=51)) as context:
        reply = await context.recall("tea")

    assert b'"content":"tea ' + "\U0001f600".encode() * 23 + b'\\ud83d [truncated]","content_length":104' in reply.body


async def test_content_stored_as_bytes_is_shown_as_its_numbers_and_cut_between_them(home: VectorHome) -> None:
    home.memory("m", content=b"tea")
    home.memory("long", content=b"tea " * 20)
    async with context_of(home, replace(WORDS_ALONE, recall_truncate_chars=50)) as context:
        shown = {result["id"]: result for result in body(await context.recall("tea"))["results"]}

    assert shown["m"]["content"] == {"0": 116, "1": 101, "2": 97}
    assert shown["long"]["content"] == ",".join(map(str, (b"tea " * 20)[:50])) + " [truncated]"
    assert [shown[name]["content_length"] for name in ("m", "long")] == [3, 80]


# ---- what is known about entities


async def test_a_memory_of_a_neighbour_of_a_named_entity_ranks_higher(home: VectorHome) -> None:
    for name, words in (("best", 0), ("second", 3), ("third", 9)):
        home.memory(name, content="harbour tea" + " word" * words)
    home.row("entities", entity("e", "Harbour"))
    home.row("entities", entity("n", "Ship"))
    ends = {"source_entity_id": "e", "target_entity_id": "n"}
    home.row("relations", {"id": "r", **ends, "relation_type": "x", "created_at": ""})
    settings = replace(
        WORDS_ALONE,
        reranker=replace(WORDS_ALONE.reranker, enabled=False),
        search=replace(WORDS_ALONE.search, rehearsal_enabled=False),
        graph=replace(WORDS_ALONE.graph, boost_weight=0.9),
    )
    async with context_of(home, settings) as context:
        assert ids(await context.recall("harbour tea")) == ["best", "second", "third"]
        home.row("memory_entity_mentions", {"memory_id": "third", "entity_id": "n"})
        assert ids(await context.recall("harbour tea")) == ["best", "third", "second"]


async def test_a_renamed_entity_is_known_by_its_new_name_at_once(home: VectorHome, context: Context) -> None:
    home.memory("m", content="unrelated")
    walk(home, "e", "Harbour", "m")

    assert ids(await context.recall("harbour")) == ["m"]
    home.execute("UPDATE entities SET name = 'Ship', canonical_name = 'ship'")
    assert ids(await context.recall("harbour")) == []
    assert ids(await context.recall("ship")) == ["m"]


async def test_traversal_belongs_to_the_agent_and_tells_of_its_last_walk(home: VectorHome, context: Context) -> None:
    home.memory("m", content="unrelated")
    walk(home, "e", "Harbour", "m", agent="ann")

    assert ids(await context.recall("harbour")) == []
    assert ids(await context.recall("harbour", agentId="ann")) == ["m"]
    assert ids(await context.post({"query": "harbour"}, {b"x-signet-agent-id": b"ann"})) == ["m"]
    assert ids(await context.recall("harbour", agentId={})) == []
    last = context.searcher.last_walk
    assert last is not None
    status = await context.reader.run(last.status)
    assert (status["focalEntityNames"], status["memoryCount"], status["traversedEntities"]) == (["Harbour"], 1, 1)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("entities.canonical_name", ["m"]),
        ("entities.name", ["m"]),
        ("entities.id", []),
        ("entity_aspects.id", []),
        ("entity_attributes.memory_id", []),
        ("entity_dependencies.target_entity_id", ["m"]),
        ("memories.id", []),
    ],
)
async def test_a_name_stored_as_bytes_is_found_and_an_id_is_not(
    home: VectorHome, context: Context, column: str, found: list[str]
) -> None:
    home.memory("m", content="unrelated")
    walk(home, "e", "Harbour", "m")
    hop = {"id": "d", "source_entity_id": "e", "target_entity_id": "x", "dependency_type": "uses"}
    home.row("entity_dependencies", hop)
    table, name = column.split(".")
    home.execute(f"UPDATE {table} SET {name} = CAST({name} AS BLOB)")  # noqa: S608

    assert ids(await context.recall("harbour")) == found
    last = context.searcher.last_walk
    assert last is None or isinstance(await context.reader.run(last.status), dict)


@pytest.mark.parametrize(("importance", "score"), [(" ", 0.1), ("0x1", 1), (b"\0", 0.1), (0.7, 0.7), ("high", None)])
async def test_the_importance_of_an_attribute_is_read_as_a_number(
    home: VectorHome, importance: Any, score: float | None
) -> None:
    home.memory("m", content="unrelated")
    walk(home, "e", "Harbour", "m")
    home.execute("UPDATE entity_attributes SET importance = ?", (importance,))
    async with context_of(home, replace(WORDS_ALONE, reranker=replace(WORDS_ALONE.reranker, enabled=False))) as context:
        (found,) = body(await context.recall("harbour"))["results"]

    assert found["score"] == score


async def test_decisions_bring_their_rationales(home: VectorHome, context: Context) -> None:
    home.memory("d", content="we chose tea", type="decision")
    home.memory("r", content="because of taste", type="rationale")
    home.row("entities", entity("e", "Drinks"))
    for memory in ("d", "r"):
        home.row("memory_entity_mentions", {"memory_id": memory, "entity_id": "e"})

    results = body(await context.recall("tea", limit=1))["results"]

    assert [(result["id"], result["score"], result.get("supplementary")) for result in results] == [
        ("d", 1, None),
        ("r", 0, True),
    ]


# ---- GET /api/memory/search


async def test_the_documented_search_is_reached_and_answers_as_recall(home: VectorHome, context: Context) -> None:
    home.memory("m", content="tea", type="rule")
    home.memory("search", content="tea")
    matched = Matcher(GROUPS).match("GET", b"/api/memory/search?q=tea")

    assert matched.route is not None
    assert (matched.route.path, matched.route.needs) == ("/api/memory/search", "recall")
    assert ids(await context.search_alias("/api/memory/search?q=tea&type=rule&limit=5")) == ["m"]
    assert body(await context.search_alias("/api/memory/search?q=+")) == {"error": "query is required"}


# ---- GET /memory/search


async def test_search_takes_fts_syntax_and_falls_back_to_the_text(home: VectorHome, context: Context) -> None:
    home.memory("tea", content="tea: hot")
    home.memory("teapot", content="teapot")

    assert ids(await context.search("/memory/search?q=tea*+NOT+hot")) == ["teapot"]
    assert ids(await context.search("/memory/search?q=tea:")) == ["tea"]
    assert ids(await context.search("/memory/search?q=zzz")) == []


async def test_search_drops_a_byte_order_mark_as_bun_does(home: VectorHome, context: Context) -> None:
    home.memory("m", content="tea")

    assert ids(await context.search("/memory/search?q=%EF%BB%BFtea")) == ["m"]
    assert ids(await context.search("/memory/search?q=%EF%BB%BF%20%2B%20tea")) == []  # no syntax, and no such text


async def test_search_without_words_lists_by_filters(home: VectorHome, context: Context) -> None:
    home.memory("pinned", pinned=1, who="ann")
    home.memory("plain", who="ann")

    assert ids(await context.search("/memory/search?who=ann")) == ["pinned", "plain"]
    assert ids(await context.search("/memory/search")) == []
    assert body(await context.search("/memory/search?distinct=who")) == {"values": ["ann"]}


@pytest.mark.parametrize("limit", ["abc", "99999999999999999999"])
async def test_search_with_a_limit_that_sqlite_refuses_is_answered_as_failed(context: Context, limit: str) -> None:
    reply = await context.search(f"/memory/search?q=x&limit={limit}")

    assert (reply.status, body(reply)) == (200, {"results": [], "error": "Search failed"})


# ---- GET /memory/similar


async def test_similar_memories_come_nearest_first_without_the_memory_itself(
    home: VectorHome, context: Context
) -> None:
    home.add(30)
    vector = home.execute("SELECT vector FROM embeddings WHERE source_id = 'm1'")[0][0]
    expected = home.execute(
        "SELECT e.source_id FROM vec_embeddings v JOIN embeddings e ON v.id = e.id"
        " WHERE v.embedding MATCH ? AND k = 11 ORDER BY v.distance",
        (vector,),
    )

    assert ids(await context.similar("/memory/similar?id=m1")) == [row[0] for row in expected[1:]]


@pytest.mark.parametrize(
    ("target", "status", "error"),
    [
        ("/memory/similar", 400, "id is required"),
        ("/memory/similar?id=", 400, "id is required"),
        ("/memory/similar?id=nobody", 404, "No embedding found for this memory"),
        ("/memory/similar?id=odd", 500, "Similarity search failed"),
        ("/memory/similar?id=text", 500, "Similarity search failed"),
    ],
)
async def test_similar_refuses_as_legacy(
    home: VectorHome, context: Context, target: str, status: int, error: str
) -> None:
    for name, vector in (("odd", b"123"), ("text", "0.1,0.2")):
        odd = {"id": name, "content_hash": name, "vector": vector, "dimensions": 1, "source_type": "memory"}
        home.row("embeddings", {**odd, "source_id": name, "chunk_text": "", "created_at": ""})
    reply = await context.similar(target)

    assert (reply.status, body(reply)) == (status, {"error": error, "results": []})


@pytest.mark.parametrize("tags", [b"a,b", b""])
async def test_similar_fails_over_tags_stored_as_bytes(home: VectorHome, context: Context, tags: bytes) -> None:
    home.add(3)
    home.execute("UPDATE memories SET tags = ? WHERE id = 'm2'", (tags,))

    assert (await context.similar("/memory/similar?id=m1")).status == 500
    assert (await context.similar("/memory/similar?id=m1&k=0")).status == 200


@pytest.mark.parametrize("k", ["", "abc", "-1", "4096", "1000000000"])
async def test_similar_finds_nothing_for_a_number_that_sqlite_vec_refuses(
    home: VectorHome, context: Context, k: str
) -> None:
    home.add(3)

    assert ids(await context.similar(f"/memory/similar?id=m1&k={k}")) == []


# ---- declared


def test_declared_tables_are_those_that_the_statements_touch(home: VectorHome) -> None:
    modules = (queries, keyword_search, similar)
    found = [query for module in modules for query in vars(module).values() if isinstance(query, Query)]
    found.append(word_lists.INDEX_STATE)
    found += [build("") for build in (match_query, like_query, list_query, keyword_query, passing_query)]
    touched: set[str] = set()
    for query in found:
        info = apsw.ext.query_info(home.connection, query.sql, actions=True)
        assert info.is_readonly
        touched |= {action.table_name for action in info.actions or () if action.table_name}
    inner = {name for name in touched if name.startswith(("memories_fts_", "sqlite_", "json_each", "pragma_"))}

    # The vectors' own tables are read by vector_matrix.py and vector_index.py in native_routes/searching/.
    assert touched - inner == {name for name in GROUP.reads if not name.startswith("vec_")} | {"vec_embeddings_rowids"}
    home.execute("PRAGMA foreign_keys = OFF")
    home.connection.config(access_tracking.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    info = apsw.ext.query_info(home.connection, access_tracking.RECORD, actions=True)
    assert {action.table_name for action in info.actions or () if action.action_name == "SQLITE_UPDATE"} == GROUP.counts


def entity(id: str, name: str, agent: str = "default") -> dict[str, Any]:
    times = {"created_at": "", "updated_at": ""}
    return {"id": id, "name": name, "canonical_name": name.lower(), "entity_type": "x", "agent_id": agent, **times}


def walk(home: VectorHome, id: str, name: str, memory: str, agent: str = "default") -> None:
    """An entity with one aspect, whose one attribute came from the memory."""
    home.row("entities", entity(id, name, agent))
    home.row("entity_aspects", {"id": "a", "entity_id": id, "agent_id": agent, "name": "a", "canonical_name": "a"})
    texts = {"kind": "attribute", "content": "x", "normalized_content": "x"}
    home.row("entity_attributes", {"id": "t", "aspect_id": "a", "agent_id": agent, "memory_id": memory, **texts})
