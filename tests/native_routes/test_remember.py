"""Remembering: what is answered, what is stored, and what happens when the embedder or the database fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from native_routes.changing import ingest, memory_vectors
from native_routes.changing.content import hash_of
from native_routes.remember import GROUP, long_text
from tests.native_routes.changing_home import NO_EMBEDDER, NOW, ChangingHome, changing_home, ollama, touched_tables
from tests.native_routes.loopback_embedder import Behaviour, LoopbackEmbedder, text_vector

REMEMBER = "/api/memory/remember"
NAMES = (REMEMBER, "/api/memory/save", "/api/hook/remember")
PIPELINE = "memory:\n  pipelineV2:\n    enabled: true\n"
NO_PIPELINE = "memory:\n  pipelineV2:\n    enabled: false\n"
SMALL = "    guardrails:\n      maxContentChars: 60\n      chunkTargetChars: 50\n"
THROWN = b"Internal Server Error"
LONG = "First sentence about the harbour. Second sentence about tea. Third sentence about violins."


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[ChangingHome]:
    async with changing_home(tmp_path, NO_EMBEDDER + NO_PIPELINE) as home:
        yield home


@pytest.fixture
async def embedder() -> AsyncIterator[LoopbackEmbedder]:
    async with LoopbackEmbedder() as embedder:
        yield embedder


def vectors(home: ChangingHome) -> list[Any]:
    """Each kept vector with the memory it is of; the indexed twin must be the same."""
    rows: list[Any] = home.database.execute(
        "SELECT e.source_id, e.content_hash, e.vector, e.dimensions, e.chunk_text, e.created_at, v.embedding"
        " FROM embeddings e LEFT JOIN vec_embeddings v ON v.id = e.id ORDER BY e.rowid"
    )
    assert all(row[2] == row[6] for row in rows)
    return [row[:6] for row in rows]


async def test_a_memory_is_stored_with_all_that_legacy_stores(home: ChangingHome) -> None:
    body = {"content": " critical: [Foo, BAR ,]:  always\n use bun. ", "who": "ann", "project": "/p", "sourceId": " s "}
    status, told = await home.told("POST", REMEMBER, body)
    memory_id = told.pop("id")
    assert status == 200
    assert list(told.items()) == [
        ("type", "rule"),
        ("tags", "foo,bar"),
        ("pinned", True),
        ("importance", 1),
        ("content", "always use bun."),
        ("embedded", False),
    ]
    assert home.memory(
        memory_id,
        "content, normalized_content, content_hash, who, why, project, importance, type, tags, pinned, is_deleted,"
        " extraction_status, embedding_model, extraction_model, created_at, updated_at, updated_by, source_type,"
        " source_id, confidence, version, access_count, update_count, vector_clock",
    ) == (
        "always use bun.", "always use bun", hash_of("always use bun"), "ann", "explicit-critical", "/p", 1.0, "rule",
        "foo,bar", 1, 0, "none", None, None, NOW, NOW, "ann", "manual", "s", 1.0, 1, 0, 0, "{}",
    )  # fmt: skip
    assert home.matches("bun") == [memory_id]
    home.check_full_text()
    assert home.database.execute("SELECT count(*) FROM memory_history") == [(0,)]


@pytest.mark.parametrize("path", NAMES)
async def test_the_same_content_is_stored_once_by_whatever_name(home: ChangingHome, path: str) -> None:
    _, first = await home.told("POST", REMEMBER, {"content": "I prefer tea over coffee."})
    _, again = await home.told("POST", path, {"content": "i PREFER   tea over coffee!!", "tags": "new"})
    assert again == {
        "id": first["id"],
        "type": "preference",
        "tags": "",
        "pinned": False,
        "importance": 0.8,
        "content": "I prefer tea over coffee.",
        "embedded": True,
        "deduped": True,
    }
    assert home.database.execute("SELECT count(*), max(tags) FROM memories") == [(1, None)]


async def test_a_source_is_known_by_type_and_id_whatever_the_content(home: ChangingHome) -> None:
    _, first = await home.told("POST", REMEMBER, {"content": "one", "sourceType": " T ", "sourceId": " s1 "})
    _, same = await home.told("POST", REMEMBER, {"content": "two", "sourceType": "T", "sourceId": "s1"})
    _, other = await home.told("POST", REMEMBER, {"content": "three", "sourceType": "t", "sourceId": "s1"})
    assert (same["id"], same["content"], same["deduped"]) == (first["id"], "one", True)
    assert other["id"] != first["id"]


async def test_forgotten_content_is_stored_anew_without_the_vector_of_the_old_one(
    tmp_path: Path, embedder: LoopbackEmbedder
) -> None:
    async with changing_home(tmp_path, ollama(embedder.url) + NO_PIPELINE) as home:
        _, old = await home.told("POST", REMEMBER, {"content": "Forget me"})
        assert old["embedded"]
        home.database.execute("UPDATE memories SET is_deleted = 1")
        _, new = await home.told("POST", REMEMBER, {"content": "forget me!"})
        assert (new["embedded"], "deduped" in new) == (False, False)
        assert [row[0] for row in vectors(home)] == [old["id"]]
        assert home.memory(new["id"], "embedding_model") == (None,)


async def test_the_vector_is_kept_indexed_and_named(tmp_path: Path, embedder: LoopbackEmbedder) -> None:
    async with changing_home(tmp_path, ollama(embedder.url) + NO_PIPELINE) as home:
        home.database.execute("INSERT INTO umap_cache VALUES (1, 2, 0, '', '')")
        _, told = await home.told("POST", REMEMBER, {"content": "  Tea   with lemon. "})
        assert told["embedded"] is True
        vector = text_vector("Tea with lemon.").tobytes()
        assert vectors(home) == [(told["id"], hash_of("tea with lemon"), vector, 768, "Tea with lemon.", NOW)]
        assert home.memory(told["id"], "embedding_model") == ("loopback",)
        assert home.database.execute("SELECT count(*) FROM umap_cache") == [(0,)]
        assert embedder.asked == {"Tea with lemon.": 1}


async def test_a_vector_that_another_has_made_meanwhile_is_replaced(tmp_path: Path, embedder: LoopbackEmbedder) -> None:
    embedder.behaviour = "hangs"
    async with changing_home(tmp_path, ollama(embedder.url) + NO_PIPELINE) as home:
        asking = asyncio.create_task(home.told("POST", REMEMBER, {"content": "Tea"}))
        await asyncio.wait_for(embedder.was_asked.wait(), 10)
        memory_id = home.database.execute("SELECT id FROM memories")[0][0]
        home.embedding("tracked", "another hash", memory_id, bytes(4 * 768))
        embedder.release.set()
        assert (await asking)[1]["embedded"] is True
        assert [row[1] for row in vectors(home)] == [hash_of("tea")]
        assert home.database.execute("SELECT count(*) FROM vec_embeddings") == [(1,)]


@pytest.mark.parametrize("behaviour", ["fails", "closes", "is no json", "sends text", "sends half"])
async def test_without_a_usable_vector_the_memory_is_stored_all_the_same(
    tmp_path: Path, embedder: LoopbackEmbedder, behaviour: Behaviour
) -> None:
    embedder.behaviour = behaviour
    async with changing_home(tmp_path, ollama(embedder.url) + NO_PIPELINE) as home:
        status, told = await home.told("POST", REMEMBER, {"content": "Tea"})
        assert (status, told["embedded"]) == (200, False)
        assert home.memory(told["id"], "content, embedding_model") == ("Tea", None)
        assert vectors(home) == []


async def test_a_memory_is_there_before_the_embedder_has_answered(tmp_path: Path, embedder: LoopbackEmbedder) -> None:
    embedder.behaviour = "hangs"
    async with changing_home(tmp_path, ollama(embedder.url) + NO_PIPELINE) as home:
        asking = asyncio.create_task(home.told("POST", REMEMBER, {"content": "Tea"}))
        await asyncio.wait_for(embedder.was_asked.wait(), 10)
        assert home.database.execute("SELECT content FROM memories") == [("Tea",)]
        embedder.release.set()
        assert (await asking)[1]["embedded"] is True
        assert len(vectors(home)) == 1


async def test_with_the_pipeline_on_a_new_memory_has_one_job(home: ChangingHome) -> None:
    home.configure(NO_EMBEDDER + PIPELINE)
    _, told = await home.told("POST", REMEMBER, {"content": "Waits"})
    await home.told("POST", REMEMBER, {"content": "waits!"})
    assert home.memory(told["id"], "extraction_status") == ("pending",)
    assert home.database.execute(
        "SELECT memory_id, document_id, job_type, status, attempts, max_attempts, created_at, updated_at"
        " FROM memory_jobs"
    ) == [(told["id"], None, "extract", "pending", 0, 3, NOW, NOW)]


async def test_values_are_stored_and_told_with_the_types_they_came_with(home: ChangingHome) -> None:
    body = b'{"content":"odd","who":5,"project":5.0,"tags":false,"importance":"high","pinned":"false"}'
    reply = await home.ask("POST", REMEMBER, body=body)
    told = json.loads(reply.body)
    assert (told["tags"], told["importance"], told["pinned"]) == (False, "high", True)
    assert home.memory(told["id"], "who, project, tags, importance, updated_by") == ("5", "5", "0", "high", "5")
    reply = await home.ask("POST", REMEMBER, body=b'{"content":"numbers","importance":1e400,"tags":-0,"who":true}')
    told = json.loads(reply.body)
    assert (told["importance"], told["tags"]) == (None, 0)
    assert home.memory(told["id"], "importance, tags, who") == (float("inf"), "0.0", "1")


async def test_texts_are_stored_as_sqlite_reads_the_utf16_of_legacy(home: ChangingHome) -> None:
    body = b'{"content":"a\\u0000b","who":"\\ufeffann","project":"half \\ud83d","tags":"\\ud83d\\ude00"}'
    told = json.loads((await home.ask("POST", REMEMBER, body=body)).body)
    assert (told["content"], told["tags"]) == ("a\0b", "😀")
    assert home.memory(told["id"], "CAST(content AS BLOB), who, project, tags") == (
        b"a\0b",
        "ann",
        "half \ufffd",
        "😀",
    )


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("\\ufffe\\u6100\\u6200", "ab"),
        ("\\ufffe\\u3dd8\\u00de", "\U0001f600"),  # swapped, the pair of an emoji
        ("\\ufffe\\u00d8\\u6100x", "\U00010061\u7800"),  # swapped, half a pair: it swallows what follows
        ("\\ufffe\\u00d8", "\ufffd"),
        ("\\ufeff\\ufeffa", "\ufeffa"),
        ("a\\ufffe", "a\ufffe"),
    ],
)
async def test_a_byte_order_mark_at_the_head_is_taken_as_one(home: ChangingHome, sent: str, stored: str) -> None:
    body = b'{"content":"c","who":"%s"}' % sent.encode()
    told = json.loads((await home.ask("POST", REMEMBER, body=body)).body)
    assert home.memory(told["id"], "who") == (stored,)


async def test_a_memory_waits_while_another_process_writes(home: ChangingHome) -> None:
    home.database.execute("BEGIN IMMEDIATE")
    asking = asyncio.create_task(home.told("POST", REMEMBER, {"content": "Tea"}))
    await asyncio.to_thread(lambda: _until(lambda: home.writer.is_open))
    assert not asking.done()
    home.database.execute("COMMIT")
    assert (await asking)[0] == 200


def _until(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


@pytest.mark.parametrize("field", ["tags", "importance", "who", "project"])
@pytest.mark.parametrize("value", [[], {}, ["a"]])
async def test_a_list_or_object_where_a_column_takes_none_is_not_stored(
    home: ChangingHome, field: str, value: Any
) -> None:
    told = await home.told("POST", REMEMBER, {"content": "x", field: value})
    assert told == (500, {"error": "Failed to save memory"})
    assert home.database.execute("SELECT count(*) FROM memories") == [(0,)]


@pytest.mark.parametrize("body", [b"", b"{", b'{"content": NaN}', b"\x00"])
async def test_what_is_no_json_is_refused_and_to_save_it_is_empty(home: ChangingHome, body: bytes) -> None:
    reply = await home.ask("POST", REMEMBER, body=body)
    assert (reply.status, reply.body) == (400, b'{"error":"Invalid JSON body"}')
    for alias in NAMES[1:]:
        reply = await home.ask("POST", alias, body=body)
        assert (reply.status, reply.body) == (400, b'{"error":"content is required"}')


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize("body", ["{}", "[]", "5", '"text"', "true", '{"content":null}', '{"content":" \\ufeff "}'])
async def test_no_content_is_refused(home: ChangingHome, path: str, body: str) -> None:
    reply = await home.ask("POST", path, body=body.encode())
    assert (reply.status, reply.body) == (400, b'{"error":"content is required"}')


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize(
    "body",
    ["null", '{"content":5}', '{"content":{}}', '{"content":false}', '{"content":"x","sourceType":5}',
     '{"content":"x","sourceId":[]}', '{"content":"critical:","sourceId":0}'],
)  # fmt: skip
async def test_what_is_no_text_where_text_is_taken_for_granted_is_500(home: ChangingHome, path: str, body: str) -> None:
    reply = await home.ask("POST", path, body=body.encode())
    assert (reply.status, reply.body) == (500, THROWN)
    assert home.database.execute("SELECT count(*) FROM memories") == [(0,)]


async def test_prefixes_without_content_are_refused(home: ChangingHome) -> None:
    assert await home.told("POST", REMEMBER, {"content": "critical:"}) == (400, {"error": "content is required"})


@pytest.mark.parametrize("path", NAMES)
async def test_frozen_memories_take_nothing(home: ChangingHome, path: str) -> None:
    home.freeze()
    told = await home.told("POST", path, {"content": "x"})
    assert told == (503, {"error": "Mutations are frozen (kill switch active)"})
    assert home.database.execute("SELECT count(*) FROM memories") == [(0,)]


async def test_save_makes_null_of_what_is_infinite(home: ChangingHome) -> None:
    reply = await home.ask("POST", NAMES[1], body=b'{"content":"far","importance":1e400}')
    assert json.loads(reply.body)["importance"] == 0.8


async def test_a_long_text_becomes_linked_pieces(tmp_path: Path, embedder: LoopbackEmbedder) -> None:
    async with changing_home(tmp_path, ollama(embedder.url) + PIPELINE + SMALL) as home:
        _, known = await home.told("POST", REMEMBER, {"content": "second SENTENCE about tea"})
        body = {"content": LONG, "who": "ann", "tags": "t", "pinned": True, "sourceId": "ignored"}
        status, told = await home.told("POST", REMEMBER, body)
        assert status == 200
        assert list(told) == ["chunked", "chunk_count", "ids", "group_id"]
        assert (told["chunked"], told["chunk_count"], len(told["ids"])) == (True, 2, 2)
        assert home.database.execute(
            "SELECT content, who, tags, pinned, why, source_type, source_id, extraction_status FROM memories"
            " WHERE id <> ? ORDER BY rowid",
            (known["id"],),
        ) == [
            (text, "ann", "t", 1, "explicit-critical", "chunk", told["group_id"], "pending")
            for text in ("First sentence about the harbour.", "Third sentence about violins.")
        ]
        group = told["group_id"]
        assert home.database.execute(
            "SELECT id, name, canonical_name, entity_type, agent_id, mentions, created_at FROM entities"
        ) == [(group, f"chunk-group:{group}", f"chunk-group:{group}", "chunk_group", "default", 0, NOW)]
        assert home.database.execute(
            "SELECT memory_id, entity_id, mention_text, confidence, created_at FROM memory_entity_mentions"
            " ORDER BY rowid"
        ) == [(memory_id, group, "chunk", 1.0, NOW) for memory_id in told["ids"]]
        assert home.database.execute("SELECT count(*) FROM memory_jobs") == [(3,)]
        assert len(vectors(home)) == 3


async def test_a_text_of_any_length_is_stored_whole(home: ChangingHome) -> None:
    text = "".join(f"Sentence {number} is about 😀. " for number in range(6_000))
    _, told = await home.told("POST", REMEMBER, {"content": text})
    stored = [row[0] for row in home.database.execute("SELECT content FROM memories ORDER BY rowid")]
    assert told["chunk_count"] == len(stored)
    assert " ".join(stored) == text.strip()


async def test_a_long_text_of_known_pieces_leaves_an_empty_group(home: ChangingHome) -> None:
    home.configure(NO_EMBEDDER + NO_PIPELINE + SMALL)
    await home.told("POST", REMEMBER, {"content": LONG})
    _, told = await home.told("POST", REMEMBER, {"content": LONG.upper()})
    assert (told["chunk_count"], told["ids"]) == (0, [])
    assert home.database.execute("SELECT count(*) FROM entities") == [(2,)]


async def test_pieces_that_cannot_be_stored_are_left_out(home: ChangingHome) -> None:
    home.configure(NO_EMBEDDER + NO_PIPELINE + SMALL)
    status, told = await home.told("POST", REMEMBER, {"content": LONG, "tags": []})
    assert (status, told["chunk_count"]) == (200, 0)


async def test_the_same_text_from_many_at_once_is_one_memory(tmp_path: Path, embedder: LoopbackEmbedder) -> None:
    async with changing_home(tmp_path, ollama(embedder.url) + PIPELINE) as home:
        told = await asyncio.gather(*(home.told("POST", REMEMBER, {"content": f"race {n % 2}"}) for n in range(20)))
        assert {status for status, _ in told} == {200}
        assert len({answer["id"] for _, answer in told}) == 2
        assert sum("deduped" not in answer for _, answer in told) == 2
        assert home.database.execute("SELECT count(*) FROM memory_jobs") == [(2,)]
        assert len(vectors(home)) == 2


async def test_a_database_that_takes_nothing_is_told_and_nothing_is_half_stored(home: ChangingHome) -> None:
    await home.told("POST", REMEMBER, {"content": "before"})
    pages = home.database.execute("PRAGMA page_count")[0][0]
    await home.writer.run(lambda connection: connection.pragma("max_page_count", pages))
    big = {"content": "x" * 400, "who": "y" * 200_000}
    assert await home.told("POST", REMEMBER, big) == (500, {"error": "Failed to save memory"})
    assert await home.told("POST", REMEMBER, {"content": "y" * 501, "who": "y" * 200_000}) in (
        (500, {"error": "Failed to create chunk group"}),
        (200, {"chunked": True, "chunk_count": 0, "ids": [], "group_id": home.database.execute(
            "SELECT max(id) FROM entities")[0][0]}),
    )  # fmt: skip
    assert home.database.execute("SELECT content FROM memories") == [("before",)]
    assert home.database.execute("PRAGMA integrity_check") == [("ok",)]
    home.check_full_text()


async def test_a_memory_without_its_job_is_told_by_its_row_and_a_piece_by_the_log_alone(home: ChangingHome) -> None:
    home.configure(NO_EMBEDDER + PIPELINE + SMALL)
    home.database.execute("ALTER TABLE memory_jobs RENAME COLUMN max_attempts TO most")
    entries: list[Any] = []
    home.daemon_log.listen(entries.append)
    _, whole = await home.told("POST", REMEMBER, {"content": "one"})
    _, pieces = await home.told("POST", REMEMBER, {"content": LONG})
    assert home.memory(whole["id"], "extraction_status") == ("failed",)
    assert [home.memory(piece, "extraction_status") for piece in pieces["ids"]] == [("pending",)] * 3
    why = "SQLiteError: table memory_jobs has no column named max_attempts"
    assert [(entry["message"], entry["data"]) for entry in entries if entry["level"] == "warn"] == [
        ("Failed to enqueue extraction job", {"memoryId": whole["id"], "error": why}),
        *(("Failed to enqueue chunk extraction", {"chunkId": piece, "error": why}) for piece in pieces["ids"]),
    ]


async def test_what_cannot_be_stored_is_logged_in_the_words_of_legacy(
    tmp_path: Path, embedder: LoopbackEmbedder
) -> None:
    entries: list[Any] = []
    async with changing_home(tmp_path, ollama(embedder.url) + NO_PIPELINE + SMALL) as home:
        home.daemon_log.listen(entries.append)
        for content in ("Forget me", LONG):
            await home.told("POST", REMEMBER, {"content": content})
        home.database.execute("UPDATE memories SET is_deleted = 1")
        _, new = await home.told("POST", REMEMBER, {"content": "Forget me"})
        _, again = await home.told("POST", REMEMBER, {"content": LONG})
        await home.told("POST", REMEMBER, {"content": "a list", "tags": []})
    why = "SQLiteError: UNIQUE constraint failed: embeddings.content_hash"
    unembedded = "Chunk embedding failed (chunk saved without vector)"
    assert [(entry["message"], entry["data"]) for entry in entries if entry["level"] == "warn"] == [
        ("Embedding failed (memory saved without vector)", {"id": new["id"], "error": why}),
        *((unembedded, {"chunkId": piece, "error": why}) for piece in again["ids"]),
    ]
    assert [entry["error"] for entry in entries if entry["level"] == "error"] == [
        {"name": "TypeError", "message": "Binding expected string, TypedArray, boolean, number, bigint or null"}
    ]


def test_declared_tables_are_those_that_statements_touch(home: ChangingHome) -> None:
    read, written = touched_tables(home.database, ingest, memory_vectors, long_text)
    assert read <= GROUP.reads | {"json_each"}
    assert written == {table for table in GROUP.writes if not table.startswith("vec_embeddings_")}
