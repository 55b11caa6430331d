"""Bringing forgotten memories back: within 30 days, and only while nothing took their place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from native_routes.javascript.dates import iso_text
from tests.native_routes.changing_home import NOW, ChangingHome, changing_home, claims

RECOVER = "/api/memory/m/recover"
DAY_MS = 86_400_000


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[ChangingHome]:
    async with changing_home(tmp_path) as home:
        home.database.memory("m", content="Tea", is_deleted=1, deleted_at=ago(home, DAY_MS), version=2, pinned=1)
        yield home


def ago(home: ChangingHome, ms: int) -> str:
    return iso_text(home.clock.ms - ms)


async def test_recovered_memory_is_listed_again_with_its_history(home: ChangingHome) -> None:
    reply = await home.ask("POST", RECOVER, {"reason": " why ", "if_version": "2"}, fields={b"x-signet-actor": b"ann"})
    assert (reply.status, reply.body) == (
        200,
        b'{"id":"m","status":"recovered","currentVersion":2,"newVersion":3,"retentionDays":30}',
    )
    assert home.memory("m", "is_deleted, deleted_at, updated_at, updated_by, version, pinned") == (
        0, None, NOW, "ann", 3, 1)  # fmt: skip
    assert home.history("event, old_content, new_content, changed_by, reason, metadata, created_at") == [
        ("recovered", None, "Tea", "ann", "why", '{"ifVersion":2,"retentionWindowMs":2592000000}', NOW)]  # fmt: skip
    home.check_full_text()


@pytest.mark.parametrize(
    ("query", "body", "error"),
    [
        ("?reason=r", b"null", "Invalid JSON body"),
        ("?reason=r", b"{}x", "Invalid JSON body"),
        ("", b" \xef\xbb\xbf ", "reason is required"),
        ("?reason=r", b'{"if_version":null}', "if_version must be a positive integer"),
        ("?reason=r&if_version", b"", "if_version must be a positive integer"),
        ("?reason=r&if_version=1.5", b'{"if_version":2}', "if_version must be a positive integer"),
    ],
)  # fmt: skip
async def test_malformed_recover_is_refused(home: ChangingHome, query: str, body: bytes, error: str) -> None:
    before = home.state()
    assert await home.told("POST", RECOVER + query, body=body) == (400, {"error": error})
    assert home.state() == before


async def test_blank_id_and_kill_switch_refuse(home: ChangingHome) -> None:
    assert await home.told("POST", "/api/memory/%20/recover?reason=r", body=b"") == (
        400, {"error": "memory id is required"})  # fmt: skip
    home.freeze()
    assert await home.told("POST", RECOVER, {"reason": "r"}) == (
        503, {"error": "Mutations are frozen (kill switch active)"})  # fmt: skip


async def test_outcomes_name_the_version_and_write_nothing(home: ChangingHome) -> None:
    home.database.memory("there", is_deleted=0, version=5)
    home.database.memory("unknown", is_deleted=None)
    before = home.state()
    assert await home.told("POST", "/api/memory/none/recover", {"reason": "r"}) == (
        404, {"id": "none", "status": "not_found", "error": "Not found"})  # fmt: skip
    assert await home.told("POST", "/api/memory/there/recover", {"reason": "r", "if_version": 9}) == (
        409,
        {"id": "there", "status": "not_deleted", "currentVersion": 5, "error": "Memory is not deleted"},
    )
    assert (await home.told("POST", "/api/memory/unknown/recover", {"reason": "r"}))[1]["status"] == "not_deleted"
    assert await home.told("POST", RECOVER, {"reason": "r", "if_version": 1}) == (
        409, {"id": "m", "status": "version_conflict", "currentVersion": 2, "error": "Version conflict"})  # fmt: skip
    assert home.state() == before


@pytest.mark.parametrize(
    ("ms", "status"),
    [(30 * DAY_MS, "recovered"), (30 * DAY_MS + 1, "retention_expired"), (-DAY_MS, "recovered")],
)  # fmt: skip
async def test_window_is_30_days_to_the_millisecond(home: ChangingHome, ms: int, status: str) -> None:
    home.database.memory("old", is_deleted=1, deleted_at=ago(home, ms))
    body = (await home.told("POST", "/api/memory/old/recover", {"reason": "r"}))[1]
    assert body["status"] == status
    assert body.get("error") == (None if status == "recovered" else "Recover window expired (30 days)")


@pytest.mark.parametrize(
    ("deleted_at", "status"),
    [
        (None, "retention_expired"),
        ("", "retention_expired"),
        ("yesterday", "retention_expired"),
        (b"\x01", "retention_expired"),
        ("2026-11-20 04:06:40", "recovered"),
        ("Nov 20 2026", "recovered"),
    ],
)  # fmt: skip
async def test_date_is_read_as_javascript_reads_it(home: ChangingHome, deleted_at: Any, status: str) -> None:
    home.database.memory("odd", is_deleted=1, deleted_at=deleted_at)
    assert (await home.told("POST", "/api/memory/odd/recover", {"reason": "r"}))[1]["status"] == status


async def test_memory_whose_content_was_stored_anew_stays_forgotten(home: ChangingHome) -> None:
    home.database.memory("old", content_hash="same", is_deleted=1, deleted_at=ago(home, 1))
    home.database.memory("new", content_hash="same")
    before = home.state()
    reply = await home.ask("POST", "/api/memory/old/recover", {"reason": "r"})
    assert (reply.status, reply.body) == (500, b"Internal Server Error")
    assert home.state() == before
    assert (await home.told("POST", RECOVER, {"reason": "r"}))[0] == 200  # the next one is not harmed


async def test_of_two_that_had_one_content_only_one_comes_back(home: ChangingHome) -> None:
    for name in ("a", "b"):
        home.database.memory(name, content_hash="same", is_deleted=1, deleted_at=ago(home, 1))
    replies = await asyncio.gather(
        *(home.ask("POST", f"/api/memory/{name}/recover", {"reason": "r"}) for name in ("a", "b"))
    )
    assert sorted(reply.status for reply in replies) == [200, 500]
    assert len(home.history()) == 1


async def test_scoped_token_recovers_any_project_and_a_nameless_one_nothing(home: ChangingHome) -> None:
    home.database.execute("UPDATE memories SET project = '/q'")
    assert (await home.ask("POST", RECOVER, {"reason": "r"}, claims=claims(sub=None))).status == 500
    assert home.history() == []
    held = claims(scope={"project": "/p"})
    assert (await home.ask("POST", RECOVER, {"reason": "r"}, claims=held)).status == 200
    assert home.history("changed_by, actor_type") == [("ann", "agent")]
