"""Forgetting memories, one or many: who may, what is kept, and what a preview promises."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from native_routes import project_scope
from native_routes.changing import memory_history
from native_routes.forget import GROUP, queries
from tests.native_routes.changing_home import NOW, ChangingHome, changing_home, claims, touched_tables

ONE = "/api/memory/m"
MANY = "/api/memory/forget"
NOBODY = "e3b0c44298fc1c149afbf4c8996fb924"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[ChangingHome]:
    async with changing_home(tmp_path) as home:
        home.database.memory("m", content="Tea words", pinned=0)
        yield home


def token(*ids: str) -> str:
    return hashlib.sha256("|".join(sorted(ids)).encode()).hexdigest()[:32]


async def test_forgotten_memory_keeps_its_row_and_its_words(home: ChangingHome) -> None:
    reply = await home.ask("DELETE", ONE, {"reason": " why ", "changed_by": "ann", "if_version": 1})
    assert (reply.status, reply.body) == (200, b'{"id":"m","status":"deleted","currentVersion":1,"newVersion":2}')
    assert home.memory("m", "is_deleted, deleted_at, updated_at, updated_by, version, update_count") == (
        1, NOW, NOW, "ann", 2, 0)  # fmt: skip
    assert home.history("event, old_content, new_content, changed_by, reason, metadata, created_at, actor_type") == [
        ("deleted", "Tea words", None, "ann", "why", '{"force":false,"ifVersion":1}', NOW, "operator")]  # fmt: skip
    assert home.matches("tea") == ["m"]
    home.check_full_text()


@pytest.mark.parametrize(
    ("query", "body", "error"),
    [
        ("?reason=r", b"{oops", "Invalid JSON body"),
        ("?reason=r", b"[]", "Invalid JSON body"),
        ("", b"", "reason is required"),
        ("?reason=%20", b" \n", "reason is required"),
        ("?reason=r", b'{"force":"maybe"}', "force must be a boolean"),
        ("?reason=r", b'{"force":null,"if_version":0}', "force must be a boolean"),
        ("?reason=r", b'{"if_version":"x"}', "if_version must be a positive integer"),
        ("?reason=r&if_version=", b'{"if_version":1}', "if_version must be a positive integer"),
        ("?reason=r&if_version=0", b"", "if_version must be a positive integer"),
    ],
)  # fmt: skip
async def test_malformed_forget_is_refused(home: ChangingHome, query: str, body: bytes, error: str) -> None:
    before = home.state()
    assert await home.told("DELETE", ONE + query, body=body) == (400, {"error": error})
    assert home.state() == before


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("?reason=q", b"", "deleted"),
        ("?reason=q&force=maybe", b"", "deleted"),
        ("?reason=q&if_version=2", b"", "version_conflict"),
        ("?reason=q&if_version=2", b'{"if_version":1}', "deleted"),
        ("?reason=q&if_version=1", b'{"if_version":"2"}', "version_conflict"),
    ],
)  # fmt: skip
async def test_body_counts_before_query(home: ChangingHome, query: str, body: bytes, status: str) -> None:
    assert (await home.told("DELETE", ONE + query, body=body))[1]["status"] == status


async def test_pinned_memory_needs_force_which_a_pipeline_does_not_have(home: ChangingHome) -> None:
    home.database.memory("p", pinned=1, version=3)
    before = home.state()
    pipeline = {b"x-signet-actor-type": b"pipeline"}
    assert await home.told("DELETE", "/api/memory/p", {"reason": "r", "force": 0}) == (
        409, {"id": "p", "status": "pinned_requires_force", "currentVersion": 3,
              "error": "Pinned memories require force=true"})  # fmt: skip
    assert await home.told("DELETE", "/api/memory/p?force=true", {"reason": "r"}, fields=pipeline) == (
        403, {"id": "p", "status": "autonomous_force_denied", "currentVersion": 3,
              "error": "Autonomous agents cannot force-delete pinned memories"})  # fmt: skip
    assert (await home.told("DELETE", "/api/memory/p?force=true", {"reason": "r", "force": False}))[0] == 409
    assert home.state() == before
    assert (await home.told("DELETE", "/api/memory/p?force=true", {"reason": "r"}))[0] == 200
    assert (await home.told("DELETE", ONE, {"reason": "r"}, fields=pipeline))[0] == 200  # not pinned


async def test_forgotten_and_missing_ones_are_told_apart(home: ChangingHome) -> None:
    home.database.memory("gone", is_deleted=1, version=7, pinned=1)
    assert await home.told("DELETE", "/api/memory/gone", {"reason": "r", "if_version": 1}) == (
        409, {"id": "gone", "status": "already_deleted", "currentVersion": 7})  # fmt: skip
    assert await home.told("DELETE", "/api/memory/%20none", {"reason": "r"}) == (
        404, {"id": "none", "status": "not_found", "error": "Not found"})  # fmt: skip
    assert await home.told("DELETE", "/api/memory/%20", {"reason": "r"}) == (400, {"error": "memory id is required"})
    assert home.history() == []


async def test_kill_switch_stops_forgetting_and_not_previews(home: ChangingHome) -> None:
    home.freeze()
    frozen = (503, {"error": "Mutations are frozen (kill switch active)"})
    assert await home.told("DELETE", ONE, {"reason": "r"}) == frozen
    assert await home.told("POST", MANY, {"mode": "execute", "reason": "r", "ids": ["m"]}) == frozen
    assert (await home.told("POST", MANY, {"ids": ["m"]}))[1]["count"] == 1
    assert home.history() == []


async def test_of_twenty_who_forget_at_once_one_does(home: ChangingHome) -> None:
    told = await asyncio.gather(*(home.told("DELETE", ONE, {"reason": "r"}) for _ in range(20)))
    assert sorted(body["status"] for _, body in told) == ["already_deleted"] * 19 + ["deleted"]
    assert (home.memory("m", "version"), len(home.history())) == ((2,), 1)


async def test_token_of_another_project_or_without_a_subject_forgets_nothing(home: ChangingHome) -> None:
    home.database.memory("theirs", project="/q")
    held = claims(scope={"project": "/p"})
    reply = await home.ask("DELETE", "/api/memory/theirs", body=b"{oops", claims=held)
    assert (reply.status, reply.body) == (403, b"""{"error":"scope restricted to project '/p'"}""")
    for method, target, body in (
        ("DELETE", ONE, {"reason": "r"}),
        ("POST", MANY, {"mode": "execute", "reason": "r", "ids": ["m"]}),
    ):
        subjects: tuple[Any, ...] = (None, {}, [5])
        for subject in subjects:
            reply = await home.ask(method, target, body, claims=claims(sub=None, raw={"sub": subject}))
            assert (reply.status, reply.body) == (500, b"Internal Server Error")
    assert home.history() == []


async def test_subject_that_is_a_number_is_kept_as_its_text(home: ChangingHome) -> None:
    assert (await home.ask("DELETE", ONE, {"reason": "r"}, claims=claims(sub=None, raw={"sub": 5.0}))).status == 200
    assert (home.memory("m", "updated_by"), home.history("changed_by")) == (("5",), [("5",)])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ([], "Invalid JSON body"),
        ({"mode": "run", "limit": 0}, "mode must be preview or execute"),
        ({"mode": 5, "limit": "0"}, "limit must be a positive integer"),
        ({"limit": None, "ids": 5}, "limit must be a positive integer"),
        ({"ids": "m"}, "ids must be an array of strings"),
        ({"ids": ["m", " "]}, "ids must contain non-empty strings"),
        ({"ids": [], "query": " ", "who": 5},
         "query, ids, or at least one filter (type/tags/who/source_type/since/until) is required"),
        ({"mode": "execute", "ids": ["m"], "force": 5}, "reason is required for execute mode"),
        ({"mode": "execute", "ids": ["m"], "reason": "r", "force": 5, "if_version": 1}, "force must be a boolean"),
        ({"mode": "execute", "ids": ["m"], "reason": "r", "if_version": 1},
         "if_version is not supported for batch forget; use DELETE /api/memory/:id for version-guarded deletes"),
    ],
)  # fmt: skip
async def test_malformed_batch_is_refused(home: ChangingHome, body: Any, error: str) -> None:
    assert await home.told("POST", MANY, body) == (400, {"error": error})
    assert home.history() == []


async def test_preview_shows_asked_ids_in_their_order_and_writes_nothing(home: ChangingHome) -> None:
    home.database.memory("p", pinned=1, version=None)
    home.database.memory("gone", is_deleted=1)
    before = home.state()
    reply = await home.ask("POST", MANY, {"ids": ["p", " m ", "p", "gone", "none"], "query": "no filter with ids"})
    assert reply.body == (
        b'{"mode":"preview","count":2,"requiresConfirm":false,"confirmToken":"%s","candidates":[{"id":"p","score":0,'
        b'"pinned":true,"version":null},{"id":"m","score":0,"pinned":false,"version":1}]}' % token("m", "p").encode()
    )
    assert home.state() == before


async def test_ids_are_cut_to_the_limit_before_they_are_looked_up(home: ChangingHome) -> None:
    ids = [f"none-{number}" for number in range(19)]
    assert (await home.told("POST", MANY, {"ids": [*ids, "m"]}))[1]["count"] == 1
    assert (await home.told("POST", MANY, {"ids": [*ids, "another", "m"]}))[1]["count"] == 0
    assert (await home.told("POST", MANY, {"ids": [*ids, "another", "m"], "limit": "21x"}))[1]["count"] == 1


async def test_nothing_found_has_the_token_of_nothing(home: ChangingHome) -> None:
    assert await home.told("POST", MANY, {"type": "none"}) == (200, {
        "mode": "preview", "count": 0, "requiresConfirm": False, "confirmToken": NOBODY, "candidates": []})  # fmt: skip
    assert await home.told("POST", MANY, {"type": "none", "mode": "execute", "reason": "r"}) == (200, {
        "mode": "execute", "requested": 0, "deleted": 0, "results": []})  # fmt: skip


async def test_query_ranks_by_words_and_falls_back_to_the_text_itself(home: ChangingHome) -> None:
    home.database.memory("twice", content="tea tea", updated_at="2026-01-02")
    home.database.memory("quoted", content='say "tea', updated_at="2026-01-03")
    home.database.memory("gone", content="tea", is_deleted=1)
    found = (await home.told("POST", MANY, {"query": " tea "}))[1]["candidates"]
    assert {candidate["id"] for candidate in found} == {"m", "twice", "quoted"}
    assert all(0 < candidate["score"] <= 1 for candidate in found)
    fallen = (await home.told("POST", MANY, {"query": '"tea'}))[1]["candidates"]
    assert fallen == [{"id": "quoted", "score": 0, "pinned": False, "version": 1}]


async def test_filters_narrow_and_pinned_then_important_ones_come_first(home: ChangingHome) -> None:
    common: dict[str, Any] = {"type": "note", "tags": "a,Work", "who": "ann", "source_type": "manual"}
    of_each: list[dict[str, Any]] = [
        {"importance": 0.9},
        {"importance": 0.1, "pinned": 1},
        {"importance": 0.5},
        {"importance": 0.5, "who": "bob"},
    ]
    for number, columns in enumerate(of_each):
        home.database.memory(f"n{number}", **common | {"created_at": f"2026-02-0{number + 1}"} | columns)
    body = {"type": " note ", "tags": "work, a", "who": "ann", "source_type": "manual", "since": "2026-02-01",
            "until": "2026-02-03"}  # fmt: skip
    found = (await home.told("POST", MANY, body))[1]["candidates"]
    assert [candidate["id"] for candidate in found] == ["n1", "n0", "n2"]


async def test_more_than_25_need_the_token_of_their_preview(home: ChangingHome) -> None:
    ids = [f"n{number}" for number in range(26)]
    for memory_id in ids:
        home.database.memory(memory_id, type="note")
    body = {"mode": "execute", "type": "note", "limit": 1e9, "reason": "r"}
    refused = {"error": "confirm_token is required for large forget operations; run preview first",
               "requiresConfirm": True, "confirmToken": token(*ids), "count": 26}  # fmt: skip
    assert await home.told("POST", MANY, body) == (400, refused)
    assert await home.told("POST", MANY, body | {"confirm_token": token(*ids[1:])}) == (400, refused)
    assert home.history() == []
    status, done = await home.told("POST", MANY, body | {"confirm_token": f" {token(*ids)} "})
    assert (status, done["requested"], done["deleted"]) == (200, 26, 26)
    assert len(home.history()) == 26
    home.check_full_text()


async def test_token_of_a_preview_is_worthless_when_another_memory_matches(home: ChangingHome) -> None:
    for number in range(27):
        home.database.memory(f"n{number}", type="note")
    preview = (await home.told("POST", MANY, {"type": "note", "limit": 200}))[1]
    home.database.memory("late", type="note")
    body = {"mode": "execute", "type": "note", "limit": 200, "reason": "r", "confirm_token": preview["confirmToken"]}
    assert (await home.told("POST", MANY, body))[0] == 400
    assert home.history() == []


async def test_of_ten_batches_at_once_the_first_forgets_and_the_others_find_nothing(home: ChangingHome) -> None:
    for number in range(5):
        home.database.memory(f"n{number}", type="note")
    body = {"mode": "execute", "type": "note", "reason": "r"}
    told = await asyncio.gather(*(home.told("POST", MANY, body) for _ in range(10)))
    assert sorted(body["deleted"] for _, body in told) == [0] * 9 + [5]
    assert sorted(body["requested"] for _, body in told) == [0] * 9 + [5]


async def test_memory_that_appears_while_the_lock_is_waited_for_needs_a_new_token(home: ChangingHome) -> None:
    for number in range(26):
        home.database.memory(f"n{number}", type="note")
    preview = (await home.told("POST", MANY, {"type": "note", "limit": 200}))[1]
    body = {"mode": "execute", "type": "note", "limit": 200, "reason": "r", "confirm_token": preview["confirmToken"]}
    home.database.execute("BEGIN IMMEDIATE")
    home.database.memory("late", type="note")
    asyncio.get_running_loop().call_later(0.2, home.database.execute, "COMMIT")
    status, told = await home.told("POST", MANY, body)
    assert (status, told["count"]) == (400, 27)
    assert home.history() == []


async def test_batch_answers_for_each_and_a_pinned_one_stops_no_other(home: ChangingHome) -> None:
    home.database.memory("p", pinned=1)
    reply = await home.ask("POST", MANY, {"mode": "execute", "reason": "r", "ids": ["p", "m"]})
    assert reply.body == (
        b'{"mode":"execute","requested":2,"deleted":1,"results":[{"id":"p","status":"pinned_requires_force",'
        b'"currentVersion":1},{"id":"m","status":"deleted","currentVersion":1,"newVersion":2}]}'
    )
    denied = {"ids": ["p"], "mode": "execute", "reason": "r", "force": True}
    told = await home.told("POST", MANY, denied, fields={b"x-signet-actor-type": b"pipeline"})
    assert told[1]["results"][0]["status"] == "autonomous_force_denied"


async def test_ids_that_no_program_makes_are_answered(home: ChangingHome) -> None:
    long_id, nul = "i" * 10_000, "a\0b"
    for memory_id in (long_id, nul, "\ufffd", None, b"\x01\xff"):
        home.database.memory(memory_id, type="odd")
    asked = json.dumps({"ids": [long_id, nul, "\udc00"]}).encode()
    told = (await home.told("POST", MANY, body=asked))[1]
    assert [candidate["id"] for candidate in told["candidates"]] == [long_id, nul]
    found = (await home.told("POST", MANY, {"type": "odd"}))[1]
    assert sorted(str(candidate["id"]) for candidate in found["candidates"]) == sorted(
        [long_id, nul, "\ufffd", "None", "{'0': 1, '1': 255}"])  # fmt: skip
    done = (await home.told("POST", MANY, {"type": "odd", "mode": "execute", "reason": "r"}))[1]
    assert {str(result["id"]): result["status"] for result in done["results"]}["None"] == "not_found"
    assert done["deleted"] == 4
    status, body = await home.told("DELETE", f"/api/memory/{long_id}", {"reason": "r"})
    assert (status, body["id"], body["status"]) == (409, long_id, "already_deleted")


@pytest.mark.parametrize("body", [{"tags": "x" * 60_000}, {"query": "(" + "x" * 60_000}, {"tags": "x," * 999}])
async def test_what_sqlite_refuses_is_answered_as_a_crash_before_the_reason_is_missed(
    home: ChangingHome, body: Any
) -> None:
    home.database.memory("tagged", tags="x")
    reply = await home.ask("POST", MANY, {"mode": "execute"} | body)
    assert (reply.status, reply.body) == (500, b"Internal Server Error")


async def test_a_table_that_lacks_a_column_ends_as_a_crash_with_nothing_kept(home: ChangingHome) -> None:
    home.database.memory("gone", is_deleted=1, deleted_at=NOW)
    home.database.execute("ALTER TABLE memory_history RENAME COLUMN reason TO why")
    before = home.state()
    for method, target, body in (
        ("DELETE", ONE, {"reason": "r"}),
        ("POST", MANY, {"mode": "execute", "reason": "r", "ids": ["m"]}),
        ("POST", "/api/memory/gone/recover", {"reason": "r"}),
    ):
        assert (await home.ask(method, target, body)).body == b"Internal Server Error"
    assert home.state() == before


def test_declared_tables_are_those_that_the_statements_touch(home: ChangingHome) -> None:
    made = [
        queries.match_query(" AND m.type = :type"),
        queries.like_query(""),
        queries.filter_query(" AND m.tags LIKE :tag0"),
    ]
    read, written = touched_tables(home.database, queries, memory_history, project_scope, *made)
    assert (read, written) == (GROUP.reads, GROUP.writes)
