"""Changing memories: what is answered, what is written, and what is not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from native_routes import project_scope
from native_routes.changing import memory_history, memory_vectors
from native_routes.changing.content import hash_of
from native_routes.modify import GROUP, queries
from tests.native_routes.changing_home import NOW, ChangingHome, changing_home, claims, ollama, touched_tables
from tests.native_routes.loopback_embedder import LoopbackEmbedder, text_vector

PATCH = "/api/memory/m"
BATCH = "/api/memory/modify"
THROWN = b"Internal Server Error"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[ChangingHome]:
    async with changing_home(tmp_path) as home:
        home.database.memory("m", content="Old text", content_hash="old", tags="a", importance=0.5, pinned=0)
        yield home


async def test_change_writes_row_history_and_full_text(home: ChangingHome) -> None:
    body = {
        "reason": " why ",
        "content": " New\n text!",
        "tags": [" x", 5, "y "],
        "importance": "0.7x",
        "pinned": "TRUE",
    }
    reply = await home.ask("PATCH", PATCH, body, fields={b"x-signet-session-id": b" s ", b"x-signet-request-id": b"q"})
    assert (reply.status, reply.body) == (
        200,
        b'{"id":"m","status":"updated","currentVersion":1,"newVersion":2,"contentChanged":true}',
    )
    assert home.memory(
        "m",
        "content, normalized_content, content_hash, tags, importance, pinned, version, update_count, updated_at,"
        " updated_by, extraction_status, embedding_model",
    ) == ("New text!", "new text", hash_of("new text"), "x,y", 0.7, 1, 2, 1, NOW, "daemon", "none", None)
    assert home.database.execute(
        "SELECT memory_id, event, old_content, new_content, changed_by, reason, metadata, created_at, actor_type,"
        " session_id, request_id FROM memory_history"
    ) == [
        ("m", "updated", "Old text", "New text!", "daemon", "why",
         '{"changedFields":["content","tags","importance","pinned"],"ifVersion":null,"contentChanged":true}', NOW,
         "operator", "s", "q")
    ]  # fmt: skip
    assert (home.matches("old"), home.matches("new")) == ([], ["m"])
    home.check_full_text()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "Invalid JSON body"),
        (b"null", "Invalid JSON body"),
        (b"[]", "Invalid JSON body"),
        (b'{"reason":"r","type":"t",}', "Invalid JSON body"),
        ({}, "reason is required"),
        ({"reason": "\ufeff ", "content": 5}, "reason is required"),
        ({"reason": "r", "if_version": "0", "content": 5}, "if_version must be a positive integer"),
        ({"reason": "r", "if_version": None}, "if_version must be a positive integer"),
        ({"reason": "r", "content": 5, "type": 5}, "content must be a string"),
        ({"reason": "r", "content": " \u2028 "}, "content must not be empty"),
        ({"reason": "r", "type": "", "tags": 5}, "type must be a non-empty string"),
        ({"reason": "r", "tags": {}, "importance": 2}, "tags must be a string, string array, or null"),
        ({"reason": "r", "importance": 1.01, "pinned": 3}, "importance must be a finite number between 0 and 1"),
        ({"reason": "r", "importance": True}, "importance must be a finite number between 0 and 1"),
        ({"reason": "r", "pinned": None}, "pinned must be a boolean"),
        ({"reason": "r"}, "at least one of content, type, tags, importance, pinned is required"),
        ({"reason": "r", "Content": "x"}, "at least one of content, type, tags, importance, pinned is required"),
    ],
)  # fmt: skip
async def test_malformed_change_is_refused_and_nothing_is_written(home: ChangingHome, body: Any, error: str) -> None:
    before = home.state()
    raw = body if isinstance(body, bytes) else None
    assert await home.told("PATCH", PATCH, body if raw is None else None, body=raw) == (400, {"error": error})
    assert home.state() == before


async def test_blank_id_is_refused(home: ChangingHome) -> None:
    told = await home.told("PATCH", "/api/memory/%20%EF%BB%BF", {"reason": "r", "type": "t"})
    assert told == (400, {"error": "memory id is required"})


async def test_kill_switch_refuses_after_the_request_was_read(home: ChangingHome) -> None:
    home.freeze()
    assert (await home.told("PATCH", PATCH, {"reason": "r"}))[0] == 400
    frozen = {"error": "Mutations are frozen (kill switch active)"}
    assert await home.told("PATCH", PATCH, {"reason": "r", "type": "t"}) == (503, frozen)
    assert await home.told("POST", BATCH, {"patches": [5]}) == (503, frozen)
    assert home.history() == []


async def test_outcomes_name_the_version_and_write_nothing(home: ChangingHome) -> None:
    home.database.memory("gone", is_deleted=1, version=4)
    home.database.memory("twin", content="Twin", content_hash=hash_of("twin"))
    before = home.state()
    assert await home.told("PATCH", "/api/memory/none", {"reason": "r", "type": "t"}) == (
        404, {"id": "none", "status": "not_found", "error": "Not found"})  # fmt: skip
    assert await home.told("PATCH", "/api/memory/gone", {"reason": "r", "type": "t", "if_version": 9}) == (
        409, {"id": "gone", "status": "deleted", "currentVersion": 4, "error": "Cannot modify deleted memory"}
    )  # fmt: skip
    assert await home.told("PATCH", PATCH, {"reason": "r", "content": "twin!", "if_version": 2}) == (
        409, {"id": "m", "status": "version_conflict", "currentVersion": 1, "error": "Version conflict"})  # fmt: skip
    assert await home.told("PATCH", PATCH, {"reason": "r", "content": "twin!", "if_version": "1.0"}) == (
        409,
        {"id": "m", "status": "duplicate_content_hash", "currentVersion": 1, "duplicateMemoryId": "twin",
         "error": "Duplicate content hash"},
    )  # fmt: skip
    same = {"reason": "r", "content": "Old text", "type": "fact", "tags": "a", "importance": 0.5, "pinned": False}
    assert await home.told("PATCH", PATCH, same) == (200, {"id": "m", "status": "no_changes", "currentVersion": 1})
    assert home.state() == before


@pytest.mark.parametrize("is_deleted", [None, 2, "no"])
async def test_only_a_one_means_forgotten(home: ChangingHome, is_deleted: Any) -> None:
    home.database.memory("odd", is_deleted=is_deleted)
    assert (await home.told("PATCH", "/api/memory/odd", {"reason": "r", "type": "t"}))[1]["status"] == "updated"


async def test_values_of_another_type_count_as_changed(home: ChangingHome) -> None:
    home.database.memory("odd", importance="high", pinned=None, tags=None, version=None)
    body = {"reason": "r", "importance": 0.5, "pinned": 0, "tags": ""}
    reply = await home.ask("PATCH", "/api/memory/odd", body)
    assert reply.body == (
        b'{"id":"odd","status":"updated","currentVersion":null,"newVersion":1,"contentChanged":false}'
    )
    assert home.memory("odd", "importance, pinned, tags, version") == (0.5, 0, None, None)
    assert json.loads(home.history("metadata")[0][0])["changedFields"] == ["importance", "pinned"]


@pytest.mark.parametrize(
    ("stored", "if_version", "shown"),
    [
        (2**53 + 1, 2**53, b'"currentVersion":9007199254740992,"newVersion":9007199254740992'),
        ("abc", None, b'"currentVersion":"abc","newVersion":"abc1"'),
        (b"\x01\x02", None, b'"currentVersion":{"0":1,"1":2},"newVersion":"1,21"'),
        (1.5, None, b'"currentVersion":1.5,"newVersion":2.5'),
    ],
)  # fmt: skip
async def test_stored_version_is_a_javascript_value(
    home: ChangingHome, stored: Any, if_version: int | None, shown: bytes
) -> None:
    home.database.memory("odd", version=stored)
    body = {"reason": "r", "type": "t"} | ({"if_version": if_version} if if_version else {})
    assert shown in (await home.ask("PATCH", "/api/memory/odd", body)).body


async def test_of_two_writers_with_one_version_one_wins(home: ChangingHome) -> None:
    bodies = [{"reason": "r", "type": f"t{number}", "if_version": 1} for number in range(20)]
    told = await asyncio.gather(*(home.told("PATCH", PATCH, body) for body in bodies))
    assert sorted(status for status, _ in told) == [200] + [409] * 19
    winner = next(number for number, (status, _) in enumerate(told) if status == 200)
    assert home.memory("m", "type, version, update_count") == (f"t{winner}", 2, 1)
    assert len(home.history()) == 1


async def test_writer_of_another_process_is_waited_for_and_its_version_counts(home: ChangingHome) -> None:
    other = apsw.Connection(str(home.database.path))
    other.execute("BEGIN IMMEDIATE; UPDATE memories SET version = 2 WHERE id = 'm'")
    release = threading.Timer(0.2, other.execute, ("COMMIT",))
    release.start()
    status, body = await home.told("PATCH", PATCH, {"reason": "r", "type": "t", "if_version": 1})
    release.join()
    other.close()
    assert (status, body["status"], body["currentVersion"]) == (409, "version_conflict", 2)


async def test_token_names_the_actor_and_what_the_request_says_does_not_count(home: ChangingHome) -> None:
    fields = {b"x-signet-actor": b"field", b"x-signet-actor-type": b"sdk"}
    body = {"reason": "r", "type": "a", "changed_by": "body"}
    await home.ask("PATCH", PATCH, body, fields=fields, claims=claims())
    await home.ask("PATCH", PATCH, body | {"type": "b"}, fields=fields)
    await home.ask("PATCH", PATCH, body | {"type": "c"}, fields={b"x-signet-actor-type": b"Sdk"})
    await home.ask("PATCH", PATCH, {"reason": "r", "type": "d", "changed_by": [5]}, fields={b"x-signet-actor": b" "})
    assert home.history("changed_by, actor_type") == [
        ("ann", "agent"), ("field", "sdk"), ("body", "operator"), ("daemon", "operator")]  # fmt: skip


async def test_token_without_a_subject_changes_nothing_and_is_answered_as_a_crash(home: ChangingHome) -> None:
    before = home.state()
    reply = await home.ask("PATCH", PATCH, {"reason": "r", "type": "t"}, claims=claims(sub=None))
    assert (reply.status, reply.body) == (500, THROWN)
    batch = {"reason": "r", "patches": [{"id": "m", "type": "t"}]}
    assert (await home.ask("POST", BATCH, batch, claims=claims(sub=None))).status == 500
    assert home.state() == before


@pytest.mark.parametrize(
    ("scope", "role", "project", "status"),
    [
        ({"project": "/p"}, "agent", "/q", 403),
        ({"project": "/p"}, "agent", "/p", 200),
        ({"project": "/p"}, "agent", None, 200),
        ({"project": "/p"}, "agent", "", 200),
        ({"project": "/p"}, "admin", "/q", 200),
        ({"project": ""}, "agent", "/q", 200),
        ({"agent": "x", "user": "y"}, "agent", "/q", 200),
    ],
)  # fmt: skip
async def test_token_of_a_project_changes_only_its_memories(
    home: ChangingHome, scope: Any, role: str, project: Any, status: int
) -> None:
    home.database.memory("scoped", project=project)
    reply = await home.ask(
        "PATCH", "/api/memory/scoped", {"reason": "r", "type": "t"}, claims=claims(scope=scope, role=role)
    )
    assert reply.status == status
    if status == 403:
        assert reply.body == b"""{"error":"scope restricted to project '/p'"}"""


async def test_scope_is_looked_at_before_the_body(home: ChangingHome) -> None:
    home.database.memory("scoped", project="/q", is_deleted=1)
    held = claims(scope={"project": "/p"})
    assert (await home.ask("PATCH", "/api/memory/scoped", body=b"{oops", claims=held)).status == 403
    assert (await home.ask("PATCH", "/api/memory/%20scoped", body=b"{oops", claims=held)).status == 400


async def test_long_id_nul_and_lone_surrogates_are_answered_and_stored_as_legacy_does(home: ChangingHome) -> None:
    long_id = "i" * 10_000
    home.database.memory(long_id)
    assert (await home.told("PATCH", f"/api/memory/{long_id}", {"reason": "r", "type": "t"}))[0] == 200
    assert home.history("memory_id") == [(long_id,)]
    odd = b'{"reason":"a\\u0000b","content":"a\\u0000b \\ud83d","type":"\\ud83d"}'
    assert (await home.ask("PATCH", PATCH, body=odd)).status == 200
    # A lone surrogate swallows what follows it in Bun's text for SQLite; here nothing does.
    assert home.memory("m", "content, type") == ("a\0b \ufffd", "\ufffd")
    assert home.memory("m", "content_hash") == (hash_of("a\0b \ufffd"),)
    reply = await home.ask("POST", BATCH, body=b'{"reason":"r","patches":[{"id":"\\udc00","type":"t"}]}')
    assert reply.body == b'{"total":1,"updated":0,"results":[{"id":"\\udc00","status":"not_found"}]}'


async def test_json_too_deep_for_us_is_refused_as_no_json(home: ChangingHome) -> None:
    deep = b'{"reason":"r","type":"t","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert await home.told("PATCH", PATCH, body=deep) == (400, {"error": "Invalid JSON body"})


async def test_batch_answers_each_entry_and_one_failure_stops_no_other(home: ChangingHome) -> None:
    home.database.memory("twin", content="Twin", content_hash=hash_of("twin"))
    patches = [
        5, {}, {"id": " "}, {"id": "m", "reason": "own", "if_version": 0}, {"id": "m", "content": 5},
        {"id": " m ", "content": "twin"}, {"id": "m", "type": "t", "reason": "own"}, {"id": "m", "type": "t"},
        {"id": "none", "type": "t"}, {"id": "m", "type": "u", "if_version": 1},
    ]  # fmt: skip
    reply = await home.ask("POST", BATCH, {"patches": patches, "reason": "all", "changed_by": " ann "})
    assert reply.status == 200
    assert reply.body == (
        b'{"total":10,"updated":1,"results":[{"id":null,"status":"invalid_request","error":"Each patch must be an '
        b'object"},{"id":null,"status":"invalid_request","error":"Patch id is required"},{"id":null,"status":'
        b'"invalid_request","error":"Patch id is required"},{"id":"m","status":"invalid_request","error":"if_version '
        b'must be a positive integer"},{"id":"m","status":"invalid_request","error":"content must be a string"},'
        b'{"id":"m","status":"duplicate_content_hash","currentVersion":1,"duplicateMemoryId":"twin"},'
        b'{"id":"m","status":"updated","currentVersion":1,"newVersion":2,"contentChanged":false},'
        b'{"id":"m","status":"no_changes","currentVersion":2},{"id":"none","status":"not_found"},'
        b'{"id":"m","status":"version_conflict","currentVersion":2}]}'
    )
    assert home.history("changed_by, reason") == [("ann", "own")]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ([], "Invalid JSON body"),
        ({}, "patches[] is required"),
        ({"patches": []}, "patches[] is required"),
        ({"patches": {"0": {}}}, "patches[] is required"),
        ({"patches": [0] * 201}, "patches[] exceeds maximum batch size (200)"),
    ],
)  # fmt: skip
async def test_malformed_batch_is_refused(home: ChangingHome, body: Any, error: str) -> None:
    assert await home.told("POST", BATCH, body) == (400, {"error": error})


async def test_batch_of_200_is_taken(home: ChangingHome) -> None:
    patches = [{"id": "m", "type": f"t{number}"} for number in range(200)]
    assert (await home.told("POST", BATCH, {"reason": "r", "patches": patches}))[1]["updated"] == 200
    assert home.memory("m", "version, type") == (201, "t199")


async def test_batches_at_once_do_not_mix(home: ChangingHome) -> None:
    bodies = [
        {"reason": "r", "patches": [{"id": "m", "type": f"b{batch}-{number}"} for number in range(10)]}
        for batch in range(10)
    ]
    told = await asyncio.gather(*(home.told("POST", BATCH, body) for body in bodies))
    for _, body in told:
        first = body["results"][0]["currentVersion"]
        assert [result["currentVersion"] for result in body["results"]] == list(range(first, first + 10))


async def test_batch_that_waits_for_the_embedder_has_written_what_came_before(home: ChangingHome) -> None:
    async with LoopbackEmbedder("hangs") as embedder:
        home.configure(ollama(embedder.url))
        patches = [{"id": "m", "type": "t"}, {"id": "m", "content": "new"}, {"id": "m", "type": "u"}]
        asking = asyncio.create_task(home.told("POST", BATCH, {"reason": "r", "patches": patches}))
        await asyncio.wait_for(embedder.was_asked.wait(), 5)
        assert home.memory("m", "type, version") == ("t", 2)
        embedder.release.set()
        assert [result["newVersion"] for result in (await asking)[1]["results"]] == [2, 3, 4]


async def test_new_content_gets_a_new_vector_and_loses_the_old_ones(home: ChangingHome) -> None:
    for number in range(2):
        home.embedding(f"e{number}", f"h{number}", "m", text_vector(f"old {number}").tobytes())
    home.database.row("umap_cache", {"dimensions": 2, "embedding_count": 1, "payload": "{}", "created_at": ""})
    async with LoopbackEmbedder() as embedder:
        home.configure(ollama(embedder.url))
        status, body = await home.told("PATCH", PATCH, {"reason": "r", "content": "new words"})
    assert (status, body["embedded"]) == (200, True)
    vector = text_vector("new words").tobytes()
    found = home.database.execute("SELECT id, content_hash, vector, dimensions, source_id, chunk_text FROM embeddings")
    assert [row[1:] for row in found] == [(hash_of("new words"), vector, 768, "m", "new words")]
    assert home.database.execute("SELECT id, embedding FROM vec_embeddings") == [(found[0][0], vector)]
    assert home.database.execute("SELECT * FROM umap_cache") == []
    assert home.memory("m", "embedding_model") == ("loopback",)


async def test_new_content_without_an_embedder_still_ends_what_was_made_of_the_old(home: ChangingHome) -> None:
    home.database.execute(
        "UPDATE memories SET extraction_status = 'completed', extraction_model = 'x', embedding_model = 'y'"
    )
    home.embedding("e", "h", "m", text_vector("old").tobytes())
    home.database.row("umap_cache", {"dimensions": 2, "embedding_count": 1, "payload": "{}", "created_at": ""})
    await home.ask("PATCH", PATCH, {"reason": "r", "type": "t"})
    assert home.memory("m", "extraction_status, extraction_model, embedding_model") == ("completed", "x", "y")
    assert home.database.execute("SELECT count(*) FROM umap_cache") == [(1,)]
    await home.ask("PATCH", PATCH, {"reason": "r", "content": "new"})
    assert home.memory("m", "extraction_status, extraction_model, embedding_model") == ("none", None, None)
    for table in ("umap_cache", "embeddings", "vec_embeddings"):
        assert home.database.execute(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608


async def test_vector_of_a_forgotten_memory_with_this_content_moves(home: ChangingHome) -> None:
    home.database.memory("gone", is_deleted=1)
    home.embedding("theirs", hash_of("moved"), "gone")
    async with LoopbackEmbedder("sends half") as embedder:
        home.configure(ollama(embedder.url))
        body = (await home.told("PATCH", PATCH, {"reason": "r", "content": "Moved."}))[1]
    assert body["embedded"] is True  # of a length that the index does not take
    assert home.database.execute("SELECT id, dimensions, source_id FROM embeddings") == [("theirs", 384, "m")]
    assert home.database.execute("SELECT count(*) FROM vec_embeddings") == [(0,)]


@pytest.mark.parametrize("behaviour", ["fails", "closes", "is no json"])
async def test_failing_embedder_leaves_the_change_without_a_vector(home: ChangingHome, behaviour: Any) -> None:
    home.embedding("e", "h", "m")
    async with LoopbackEmbedder(behaviour) as embedder:
        home.configure(ollama(embedder.url))
        status, body = await home.told("PATCH", PATCH, {"reason": "r", "content": "no vector"})
    assert (status, body["contentChanged"], "embedded" in body) == (200, True, False)
    assert home.database.execute("SELECT * FROM embeddings") == []
    assert home.memory("m", "content, embedding_model") == ("no vector", None)


async def test_embedder_that_sends_text_for_a_vector_leaves_none(home: ChangingHome) -> None:
    async with LoopbackEmbedder("sends text") as embedder:
        home.configure(ollama(embedder.url))
        body = (await home.told("PATCH", PATCH, {"reason": "r", "content": "no vector"}))[1]
    assert body["embedded"] is True  # something came
    assert home.memory("m", "embedding_model") == (None,)
    assert home.database.execute("SELECT * FROM embeddings") == []


async def test_caller_who_leaves_while_the_embedder_works_has_changed_nothing(home: ChangingHome) -> None:
    before = home.state()
    async with LoopbackEmbedder("hangs") as embedder:
        home.configure(ollama(embedder.url))
        asking = asyncio.create_task(home.ask("PATCH", PATCH, {"reason": "r", "content": "never"}))
        await asyncio.wait_for(embedder.was_asked.wait(), 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        embedder.release.set()
    assert home.state() == before
    assert (await home.told("PATCH", PATCH, {"reason": "r", "type": "t"}))[0] == 200


async def test_memory_that_changes_while_the_embedder_works_is_in_conflict(home: ChangingHome) -> None:
    async with LoopbackEmbedder("hangs") as embedder:
        home.configure(ollama(embedder.url))
        slow = asyncio.create_task(
            home.told("PATCH", PATCH, {"reason": "slow", "content": "slow words", "if_version": 1})
        )
        await asyncio.wait_for(embedder.was_asked.wait(), 5)
        assert (await home.told("PATCH", PATCH, {"reason": "quick", "type": "t"}))[0] == 200
        embedder.release.set()
        assert (await slow)[1]["status"] == "version_conflict"
    assert home.memory("m", "content, version") == ("Old text", 2)


async def test_model_that_is_no_text_ends_as_a_crash_with_nothing_kept(home: ChangingHome) -> None:
    before = home.state()
    async with LoopbackEmbedder() as embedder:
        home.configure(ollama(embedder.url).replace("model: loopback", "model:\n    - a"))
        assert (await home.ask("PATCH", PATCH, {"reason": "r", "type": "t"})).status == 200
        before = home.state()
        assert (await home.ask("PATCH", PATCH, {"reason": "r", "content": "c"})).body == THROWN
    assert home.state() == before


async def test_a_table_that_lacks_a_column_ends_as_a_crash_with_nothing_kept(home: ChangingHome) -> None:
    home.database.execute("ALTER TABLE memory_history RENAME COLUMN reason TO why")
    before = home.state()
    assert (await home.ask("PATCH", PATCH, {"reason": "r", "type": "t"})).body == THROWN
    assert (await home.ask("POST", BATCH, {"reason": "r", "patches": [{"id": "m", "type": "t"}]})).body == THROWN
    assert home.state() == before


async def test_entries_before_the_one_that_crashes_stay_changed(home: ChangingHome) -> None:
    home.database.memory("second")
    home.database.memory("third")
    home.database.execute(
        "CREATE TRIGGER refuse BEFORE UPDATE ON memories WHEN NEW.type = 'bad' BEGIN SELECT RAISE(ABORT, 'bad'); END"
    )
    types = {"m": "good", "second": "bad", "third": "good"}
    patches = [{"id": memory_id, "type": type_} for memory_id, type_ in types.items()]
    assert (await home.ask("POST", BATCH, {"reason": "r", "patches": patches})).body == THROWN
    assert [home.memory(memory_id, "type, version") for memory_id in types] == [("good", 2), ("fact", 1), ("fact", 1)]
    assert home.history("memory_id") == [("m",)]


def test_declared_tables_are_those_that_the_statements_touch(home: ChangingHome) -> None:
    touched = touched_tables(home.database, queries, memory_history, memory_vectors, project_scope)
    assert touched == (GROUP.reads, GROUP.writes)
