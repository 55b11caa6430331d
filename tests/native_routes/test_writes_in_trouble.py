"""Every route that writes rows, with requests of extreme size and with a database that takes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from native_routes.database import Connection, DatabaseBusy, DatabaseError, DatabaseFull, DatabaseReadOnly
from native_routes.writer import Writer
from tests.native_routes.changing_home import ChangingHome, changing_home

T = TypeVar("T")
PIECES: Final = "embedding:\n  provider: none\nmemory:\n  pipelineV2:\n    enabled: false\n"
LONG: Final = "A sentence of a long text. " * 40
JUST_OVER_10_MB: Final = 10 * 1024 * 1024 + 1
LONG_ID: Final = "i" * 10_000
# Every write of rows, as a request that would change something. What it answers when nothing can be written: as legacy.
WRITES: Final[dict[str, tuple[str, str, Any, tuple[int, Any] | None]]] = {
    "remember": ("POST", "/api/memory/remember", {"content": "new"}, (500, {"error": "Failed to save memory"})),
    "remember long": (
        "POST", "/api/memory/save", {"content": LONG}, (500, {"error": "Failed to create chunk group"}),
    ),
    "change": ("PATCH", "/api/memory/m", {"reason": "r", "content": "changed"}, None),
    "change many": ("POST", "/api/memory/modify", {"reason": "r", "patches": [{"id": "m", "type": "t"}]}, None),
    "forget": ("DELETE", "/api/memory/m", {"reason": "r"}, None),
    "forget many": ("POST", "/api/memory/forget", {"reason": "r", "mode": "execute", "ids": ["m", "n"]}, None),
    "recover": ("POST", "/api/memory/gone/recover", {"reason": "r"}, None),
    "feedback": (
        "POST", "/api/memory/feedback", {"sessionKey": "S", "feedback": {"m": 1}}, (200, {"ok": True, "recorded": 1}),
    ),
    "document": (
        "POST", "/api/documents", {"source_type": "text", "content": "c"},
        (500, {"error": "Failed to create document"}),
    ),
    "forget document": ("DELETE", "/api/documents/d?reason=r", {}, (500, {"error": "Failed to delete document"})),
}  # fmt: skip
# Feedback and marks fit into pages that are there; of a long text the group does, and its pieces are left out.
NEEDS_NO_ROOM: Final = ("feedback", "forget document", "remember long")


class Impatient(Writer):
    """Waits half a second for the lock where others wait ten."""

    async def run(self, work: Callable[[Connection], T], *, deadline_s: float = 0.5) -> T:
        return await super().run(work, deadline_s=deadline_s)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[ChangingHome]:
    async with changing_home(tmp_path, PIECES) as home:
        for memory_id in ("m", "n"):
            home.database.memory(memory_id, content=f"memory {memory_id}")
        home.database.memory("gone", content="forgotten", is_deleted=1, deleted_at="2026-11-20T00:00:00.000Z")
        home.database.row(
            "documents",
            {"id": "d", "source_type": "text", "status": "done", "created_at": "", "updated_at": ""},
        )
        home.database.row("document_memories", {"document_id": "d", "memory_id": "n", "chunk_index": 0})
        session = {"session_key": "S", "memory_id": "m", "source": "effective", "final_score": 0, "rank": 0}
        home.database.row("session_memories", {"id": "s", "was_injected": 1, "created_at": "", **session})
        await home.writer.run(lambda connection: connection.execute("SELECT 1"))
        yield home


def rows(home: ChangingHome) -> list[Any]:
    others = ("documents", "memory_jobs", "entities", "memory_entity_mentions")
    return home.state() + [home.database.execute(f"SELECT * FROM {name} ORDER BY rowid") for name in others]  # noqa: S608


async def told_or_raised(home: ChangingHome, name: str) -> tuple[int, Any] | type[DatabaseError]:
    """An error that is raised is answered by the front door, with 500 as legacy's uncaught ones."""
    method, target, body, _ = WRITES[name]
    try:
        return await home.told(method, target, body)
    except DatabaseError as error:
        return type(error)


async def all_at_once(home: ChangingHome) -> dict[str, tuple[int, Any] | type[DatabaseError]]:
    return dict(zip(WRITES, await asyncio.gather(*(told_or_raised(home, name) for name in WRITES)), strict=True))


def expected(error: type[DatabaseError]) -> dict[str, tuple[int, Any] | type[DatabaseError]]:
    return {name: told or error for name, (_, _, _, told) in WRITES.items()}


async def check_all_goes_well(home: ChangingHome) -> None:
    """What was refused before can be done now; one after the other, because some change the same memory."""
    for name in WRITES:
        told = await told_or_raised(home, name)
        assert isinstance(told, tuple), name
        assert told[0] in (200, 201), name
    assert home.database.execute("PRAGMA integrity_check") == [("ok",)]
    home.check_full_text()


async def test_read_only_database_is_told_by_every_route_and_changes_nothing(home: ChangingHome) -> None:
    before = rows(home)
    with contextlib.suppress(DatabaseReadOnly):  # its own COMMIT is the first that fails
        # The superuser, who may run the tests, can write to any file: so a flag of the connection stands for its mode.
        await home.writer.run(lambda connection: connection.pragma("query_only", True))
    assert await all_at_once(home) == expected(DatabaseReadOnly)
    assert rows(home) == before
    await home.writer.close()  # the next one is opened anew
    await check_all_goes_well(home)


@pytest.mark.parametrize("name", [name for name in WRITES if name not in NEEDS_NO_ROOM])
async def test_full_disk_is_told_by_every_route_that_needs_room_and_changes_nothing(
    home: ChangingHome, name: str
) -> None:
    await fill(home)
    before = rows(home)
    method, target, body, told = WRITES[name]
    big = {key: value * 20_000 if key in ("reason", "who") else value for key, value in ({"who": "w"} | body).items()}
    if name == "document":
        big["content"] = "c" * 20_000
    try:
        assert await home.told(method, target, big) == told
    except DatabaseFull:
        assert told is None
    assert rows(home) == before
    assert home.database.execute("PRAGMA integrity_check") == [("ok",)]
    home.check_full_text()


async def fill(home: ChangingHome) -> None:
    """The file grows no further, and has no free page."""
    home.database.execute("PRAGMA incremental_vacuum")
    pages = home.database.execute("PRAGMA page_count")[0][0]
    await home.writer.run(lambda connection: connection.pragma("max_page_count", pages))


async def test_lock_held_until_the_deadline_is_told_by_every_route_and_nothing_is_half_written(
    home: ChangingHome,
) -> None:
    before = rows(home)
    patient, home.writer = home.writer, Impatient(home.database.path)
    home.database.execute("BEGIN IMMEDIATE")
    assert await all_at_once(home) == expected(DatabaseBusy)
    home.database.execute("COMMIT")
    assert rows(home) == before
    await home.writer.close()
    home.writer = patient
    await check_all_goes_well(home)


@pytest.mark.parametrize("name", WRITES)
async def test_body_just_over_10_mb_is_taken(home: ChangingHome, name: str) -> None:
    """Legacy has no limit of its own; ours is 100 MiB, at the front door."""
    method, target, body, _ = WRITES[name]
    start = json.dumps({"padding": ""} | body).encode()
    padded = start.replace(b'"padding": ""', b'"padding": "%s"' % (b"x" * (JUST_OVER_10_MB - len(start))))
    assert len(padded) == JUST_OVER_10_MB
    assert (await home.told(method, target, body=padded))[0] in (200, 201)


@pytest.mark.parametrize("name", [name for name in WRITES if name != "forget document"])  # it reads no body
async def test_json_too_deep_is_no_json_and_changes_nothing(home: ChangingHome, name: str) -> None:
    before = rows(home)
    method, target, body, _ = WRITES[name]
    deep = json.dumps(body).encode()[:-1] + b', "deep": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}"
    error = "content is required" if target.endswith("/save") else "Invalid JSON body"
    assert await home.told(method, target, body=deep) == (400, {"error": error})
    assert rows(home) == before


async def test_ids_of_10_kb_are_answered_in_full(home: ChangingHome) -> None:
    not_found = {"id": LONG_ID, "status": "not_found", "error": "Not found"}
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/recover")):
        told = await home.told(method, f"/api/memory/{LONG_ID}{path}", {"reason": "r", "type": "t"})
        assert told == (404, not_found)
    ids = {"mode": "execute", "reason": "r", "ids": [LONG_ID, "m"]}
    assert (await home.told("POST", "/api/memory/forget", ids))[1]["requested"] == 1
    patches = {"reason": "r", "patches": [{"id": LONG_ID, "type": "t"}]}
    assert (await home.told("POST", "/api/memory/modify", patches))[1]["results"][0]["id"] == LONG_ID
    source = {"content": "of a source", "sourceId": LONG_ID}
    assert (await home.told("POST", "/api/memory/remember", source))[1]["embedded"] is False
    assert (await home.told("POST", "/api/memory/remember", source | {"content": "again"}))[1]["deduped"] is True
    assert (await home.told("DELETE", f"/api/documents/{LONG_ID}?reason=r"))[0] == 404
