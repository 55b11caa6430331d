"""Feedback on recalled memories: which scores count, and the mean that they leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from native_routes.feedback import GROUP, queries
from tests.native_routes.changing_home import ChangingHome, changing_home, touched_tables

FEEDBACK = "/api/memory/feedback"
INVALID = "Invalid feedback format — expected map of ID to number (-1 to 1)"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[ChangingHome]:
    async with changing_home(tmp_path) as home:
        of_session = {"source": "effective", "final_score": 0, "rank": 0, "was_injected": 1, "created_at": ""}
        for number, (session, memory) in enumerate((("S", "a"), ("S", "b"), ("T", "a"), ("S", "\ufffd"), ("S", "7"))):
            named = {"id": f"s{number}", "session_key": session, "memory_id": memory}
            home.database.row("session_memories", named | of_session)
        yield home


def scores(home: ChangingHome) -> list[Any]:
    return home.database.execute("SELECT agent_relevance_score, agent_feedback_count FROM session_memories ORDER BY id")


async def test_scores_become_a_mean_in_their_session_only(home: ChangingHome) -> None:
    reply = await home.ask("POST", FEEDBACK, {"sessionKey": " S ", "feedback": {"a": 0.5, "b": -7, "none": 1}})
    assert (reply.status, reply.body) == (200, b'{"ok":true,"recorded":3}')
    await home.ask("POST", FEEDBACK, {"sessionKey": "S", "feedback": {"a": 1e300, "b": "0.5", "": 1}})
    await home.ask("POST", FEEDBACK, {"sessionKey": "S", "feedback": {"a": -0.0}})
    assert scores(home) == [(0.5, 3), (-1.0, 1), (None, 0), (None, 0), (None, 0)]


async def test_null_count_makes_the_mean_null_and_counts_from_one(home: ChangingHome) -> None:
    home.database.execute("UPDATE session_memories SET agent_relevance_score = 0.5, agent_feedback_count = NULL")
    await home.ask("POST", FEEDBACK, {"sessionKey": "S", "feedback": {"a": 1}})
    assert scores(home)[0] == (None, 1)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "Invalid JSON body"),
        (b"[]", "Invalid JSON body"),
        (b'{"sessionKey":" ","feedback":{"a":1}}', "sessionKey and feedback required"),
        (b'{"sessionKey":5,"feedback":{"a":1}}', "sessionKey and feedback required"),
        (b'{"sessionKey":"S","feedback":""}', "sessionKey and feedback required"),
        (b'{"sessionKey":"S","feedback":-0}', "sessionKey and feedback required"),
        (b'{"sessionKey":"S","feedback":"x"}', INVALID),
        (b'{"sessionKey":"S","feedback":[1]}', INVALID),
        (b'{"sessionKey":"S","feedback":{}}', INVALID),
        (b'{"sessionKey":"S","feedback":{"a":true,"b":null,"c":"1","":1,"d":1e400}}', INVALID),
    ],
)  # fmt: skip
async def test_malformed_feedback_is_refused(home: ChangingHome, body: bytes, error: str) -> None:
    before = home.state()
    assert await home.told("POST", FEEDBACK, body=body) == (400, {"error": error})
    assert home.state() == before


async def test_prototype_is_understood_and_not_recorded(home: ChangingHome) -> None:
    home.database.execute("UPDATE session_memories SET memory_id = '__proto__' WHERE id = 's0'")
    reply = await home.ask("POST", FEEDBACK, body=b'{"sessionKey":"S","feedback":{"__proto__":1}}')
    assert reply.body == b'{"ok":true,"recorded":0}'
    assert scores(home)[0] == (None, 0)


async def test_ids_that_no_program_makes_are_taken(home: ChangingHome) -> None:
    body = b'{"sessionKey":"S","feedback":{"\\udc00":1,"7":0.25,"a\\u0000b":1,"%s":1}}' % (b"i" * 10_000)
    assert (await home.ask("POST", FEEDBACK, body=body)).body == b'{"ok":true,"recorded":4}'
    assert scores(home)[3:] == [(1.0, 1), (0.25, 1)]


async def test_kill_switch_does_not_stop_feedback(home: ChangingHome) -> None:
    home.freeze()
    assert (await home.told("POST", FEEDBACK, {"sessionKey": "S", "feedback": {"a": 1}}))[0] == 200
    assert scores(home)[0] == (1.0, 1)


async def test_feedback_that_cannot_be_written_is_acknowledged_and_logged(home: ChangingHome) -> None:
    home.database.execute("DROP TABLE session_memories")
    reply = await home.ask("POST", FEEDBACK, {"sessionKey": "S", "feedback": {"a": 1}})
    assert reply.body == b'{"ok":true,"recorded":1}'
    entries: list[Any] = []
    home.daemon_log.listen(entries.append)
    await home.ask("POST", FEEDBACK, {"sessionKey": "S", "feedback": {"a": 1}})
    assert [(entry["level"], entry["category"], entry["message"]) for entry in entries] == [
        ("warn", "session-memories", "Failed to record agent feedback")]  # fmt: skip
    assert entries[0]["data"] == {"error": "no such table: session_memories"}


def test_declared_tables_are_those_that_the_statements_touch(home: ChangingHome) -> None:
    assert touched_tables(home.database, queries) == (GROUP.reads, GROUP.writes)
