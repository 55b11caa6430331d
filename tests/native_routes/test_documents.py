"""Documents: handed in, listed, shown, deleted together with the memories made of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from native_routes.documents import GROUP, queries
from tests.native_routes.changing_home import NOW, ChangingHome, changing_home, claims, touched_tables

DOCUMENTS = "/api/documents"
TEXT = {"source_type": "text", "content": "Plain text."}
URL = {"source_type": "url", "url": "https://example.org/1"}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[ChangingHome]:
    async with changing_home(tmp_path) as home:
        yield home


async def added(home: ChangingHome, body: Any = TEXT) -> str:
    status, told = await home.told("POST", DOCUMENTS, body)
    assert status == 201
    return str(told["id"])


def link(home: ChangingHome, document_id: str, memory_id: str, chunk_index: int) -> None:
    row = {"document_id": document_id, "memory_id": memory_id, "chunk_index": chunk_index}
    home.database.row("document_memories", row)


async def test_a_document_is_queued_with_a_job(home: ChangingHome) -> None:
    body = TEXT | {"title": 5, "content_type": True, "connector_id": 0.5, "metadata": {"b": 1.0, "2": None, "1": []}}
    status, told = await home.told("POST", DOCUMENTS, body)
    assert (status, list(told), told["status"]) == (201, ["id", "status", "jobId"], "queued")
    status, shown = await home.told("GET", f"{DOCUMENTS}/{told['id']}")
    assert list(shown.items()) == [
        ("id", told["id"]),
        ("source_url", None),
        ("source_type", "text"),
        ("content_type", "1"),
        ("content_hash", None),
        ("title", "5"),
        ("raw_content", "Plain text."),
        ("status", "queued"),
        ("error", None),
        ("connector_id", "0.5"),
        ("chunk_count", 0),
        ("memory_count", 0),
        ("metadata_json", '{"1":[],"2":null,"b":1}'),
        ("created_at", NOW),
        ("updated_at", NOW),
        ("completed_at", None),
    ]
    assert home.database.execute(
        "SELECT id, memory_id, document_id, job_type, status, attempts, max_attempts, created_at, updated_at"
        " FROM memory_jobs"
    ) == [(told["jobId"], None, told["id"], "document_ingest", "pending", 0, 3, NOW, NOW)]


async def test_an_address_in_a_list_of_one_is_found_and_never_stored(home: ChangingHome) -> None:
    known = await added(home, URL)
    boxed = {"source_type": "file", "url": [URL["url"]]}
    assert (await home.told("POST", DOCUMENTS, boxed))[1] == {"id": known, "status": "queued", "deduplicated": True}
    for url in (["other"], [], [URL["url"], 1], [[URL["url"]]], [None], {"a": URL["url"]}):
        status, _ = await home.told("POST", DOCUMENTS, boxed | {"url": url})
        assert status == 500
    assert home.database.execute("SELECT count(*) FROM documents") == [(1,)]


async def test_an_address_is_one_document_until_it_failed_or_was_deleted(home: ChangingHome) -> None:
    first = await added(home, URL)
    assert await home.told("POST", DOCUMENTS, URL | {"source_type": "file"}) == (
        200,
        {"id": first, "status": "queued", "deduplicated": True},
    )
    for status in ("failed", "deleted"):
        home.database.execute("UPDATE documents SET status = ?", (status,))
        assert await added(home, URL) != first
    told = await asyncio.gather(*(home.told("POST", DOCUMENTS, URL | {"url": "race"}) for _ in range(8)))
    assert sorted(status for status, _ in told) == [200] * 7 + [201]


async def test_texts_and_blank_addresses_are_never_the_same(home: ChangingHome) -> None:
    ids = [await added(home, body) for body in (TEXT, TEXT, URL | {"url": ""}, URL | {"url": ""})]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "Invalid JSON body"),
        (b"{", "Invalid JSON body"),
        (b"[]", "source_type must be text, url, or file"),
        (b'"text"', "source_type must be text, url, or file"),
        (b'{"source_type":["text"]}', "source_type must be text, url, or file"),
        (b'{"source_type":"text","content":5}', "content is required for text source_type"),
        (b'{"source_type":"url","url":null}', "url is required for url source_type"),
    ],
)
async def test_what_is_missing_is_named(home: ChangingHome, body: bytes, error: str) -> None:
    reply = await home.ask("POST", DOCUMENTS, body=body)
    assert (reply.status, json.loads(reply.body)) == (400, {"error": error})
    assert home.database.execute("SELECT count(*) FROM documents") == [(0,)]


async def test_null_is_thrown_at_and_values_without_a_column_type_are_not_stored(home: ChangingHome) -> None:
    reply = await home.ask("POST", DOCUMENTS, body=b"null")
    assert (reply.status, reply.body) == (500, b"Internal Server Error")
    for field in ("title", "content_type", "connector_id"):
        told = await home.told("POST", DOCUMENTS, TEXT | {field: {}})
        assert told == (500, {"error": "Failed to create document"})
    assert home.database.execute("SELECT count(*) FROM documents") == [(0,)]


@pytest.mark.parametrize(
    ("query", "limit", "offset", "count"),
    [("", 50, 0, 3), ("?limit=0", 50, 0, 3), ("?limit=-5", 1, 0, 1), ("?limit=2x&offset=1", 2, 1, 2),
     ("?limit=501&offset=-1", 500, 0, 3), ("?offset=3", 50, 3, 0), ("?status=queued&limit=1", 1, 0, 1),
     ("?status=QUEUED", 50, 0, 0), ("?status=", 50, 0, 3), ("?offset=1e400", 50, 1, 2)],
)  # fmt: skip
async def test_a_page_is_cut_as_legacy_cuts_it(
    home: ChangingHome, query: str, limit: int, offset: int, count: int
) -> None:
    for _ in range(3):
        await added(home)
    status, told = await home.told("GET", DOCUMENTS + query)
    assert (status, list(told)) == (200, ["documents", "total", "limit", "offset"])
    assert (told["limit"], told["offset"], len(told["documents"])) == (limit, offset, count)
    assert told["total"] == (0 if "QUEUED" in query else 3)


async def test_an_offset_beyond_all_integers_fails_as_in_legacy(home: ChangingHome) -> None:
    told = await home.told("GET", f"{DOCUMENTS}?offset=99999999999999999999")
    assert told == (500, {"error": "Failed to list documents"})


async def test_chunks_come_in_their_order_without_forgotten_ones(home: ChangingHome) -> None:
    document = await added(home)
    for index, memory_id in enumerate(("c", "a", "b")):
        home.database.memory(memory_id, is_deleted=int(memory_id == "a"))
        link(home, document, memory_id, 9 - index)
    status, told = await home.told("GET", f"{DOCUMENTS}/{document}/chunks")
    assert (status, told["count"]) == (200, 2)
    assert [list(chunk) for chunk in told["chunks"]] == [["id", "content", "type", "created_at", "chunk_index"]] * 2
    assert [(chunk["id"], chunk["chunk_index"]) for chunk in told["chunks"]] == [("b", 7), ("c", 9)]
    assert await home.told("GET", f"{DOCUMENTS}/none/chunks") == (200, {"chunks": [], "count": 0})
    assert await home.told("GET", f"{DOCUMENTS}/none") == (404, {"error": "Document not found"})


async def test_deleting_forgets_its_memories_pinned_ones_too(home: ChangingHome) -> None:
    document = await added(home)
    for memory_id, columns in (("a", {"pinned": 1, "version": 3}), ("b", {"is_deleted": 1}), ("other", {})):
        home.database.memory(memory_id, **columns)
    for index, memory_id in enumerate(("a", "b", "gone")):
        link(home, document, memory_id, index)
    fields = {b"x-signet-actor": b" ann ", b"x-signet-session-id": b"s"}
    target = f"{DOCUMENTS}/{document}?reason=+old+"
    assert await home.told("DELETE", target, fields=fields) == (200, {"deleted": True, "memoriesRemoved": 1})
    assert home.memory("a", "is_deleted, deleted_at, updated_at, updated_by, version") == (1, NOW, NOW, "ann", 4)
    assert home.memory("other", "is_deleted") == (0,)
    assert home.history("memory_id, event, old_content, new_content, changed_by, reason, metadata, created_at,"
                        " actor_type, session_id, request_id") == [
        ("a", "deleted", None, None, "ann", "Document deleted:  old ", None, NOW, None, None, None)
    ]  # fmt: skip
    assert home.database.execute("SELECT status, error FROM documents") == [("deleted", " old ")]
    assert await home.told("DELETE", f"{DOCUMENTS}/{document}?reason=2") == (
        200,
        {"deleted": True, "memoriesRemoved": 0},
    )
    assert home.database.execute("SELECT error FROM documents") == [("2",)]


async def test_deleting_asks_for_a_reason_first_and_for_somebody_who_does_it(home: ChangingHome) -> None:
    document = await added(home)
    for query in ("", "?reason=", "?Reason=r"):
        told = await home.told("DELETE", f"{DOCUMENTS}/none{query}", {"reason": "r"})
        assert told == (400, {"error": "reason query parameter is required"})
    assert await home.told("DELETE", f"{DOCUMENTS}/none?reason=r") == (404, {"error": "Document not found"})
    home.database.memory("a")
    link(home, document, "a", 0)
    subjects: tuple[Any, ...] = (None, {}, ["ann"])
    for subject in subjects:
        nobody = claims(sub=None, raw={"sub": subject})
        told = await home.told("DELETE", f"{DOCUMENTS}/{document}?reason=r", claims=nobody)
        assert told == (500, {"error": "Failed to delete document"})
    assert home.memory("a", "is_deleted") == (0,)
    assert await home.told("DELETE", f"{DOCUMENTS}/{document}?reason=r", claims=claims()) == (
        200,
        {"deleted": True, "memoriesRemoved": 1},
    )
    assert home.memory("a", "updated_by") == ("ann",)


async def test_without_an_actor_the_document_api_is_named(home: ChangingHome) -> None:
    document = await added(home)
    home.database.memory("a")
    link(home, document, "a", 0)
    await home.told("DELETE", f"{DOCUMENTS}/{document}?reason=r")
    assert home.memory("a", "updated_by") == ("document-api",)


def test_declared_tables_are_those_that_statements_touch(home: ChangingHome) -> None:
    assert touched_tables(home.database, queries) == (GROUP.reads, GROUP.writes)
