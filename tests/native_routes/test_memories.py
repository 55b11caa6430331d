"""List, one memory, its history, its jobs. Expected bytes were answered by Signet 0.58.1 for the same rows."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw.ext
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from native_routes.database import Connection, StatementError
from native_routes.memories import GROUP, queries
from native_routes.memories.listing import page_body, rows_body
from native_routes.query import Query
from native_routes.reader import Reader
from tests.native_routes.home_database import HomeDatabase, NotUtf8
from tests.native_routes.memories_requests import Context, Heard, get

UNLISTED = b'{"memories":[],"stats":{"total":0,"withEmbeddings":0,"critical":0},"error":"Failed to load memories"}'


@pytest.fixture
def home(tmp_path: Path) -> HomeDatabase:
    return HomeDatabase(tmp_path / "memories.db")


@pytest.fixture
async def context(home: HomeDatabase) -> AsyncIterator[Context]:
    reader = Reader(home.path, threads=2)
    yield Context(reader)
    await reader.close()


def listed(body: bytes) -> list[Any]:
    return [memory["id"] for memory in json.loads(body)["memories"]]


async def test_list_shows_raw_columns_newest_first_and_counts_all(home: HomeDatabase, context: Context) -> None:
    home.memory("old", importance="high", tags="a,b", who="me", created_at="2025-01-01 10:00:00", is_deleted=1)
    home.memory("new", importance=1, pinned=1, source_type="manual", type="rule")
    home.row("embeddings", {"id": "e", "content_hash": "h", "vector": b"", "dimensions": 0, "source_type": "memory",
                            "source_id": "new", "chunk_text": "", "created_at": ""})  # fmt: skip
    reply = await get(context, "/api/memories")
    assert reply.status == 200
    assert reply.headers == ((b"content-type", b"application/json"),)
    assert reply.body == (
        b'{"memories":[{"id":"new","content":"text","created_at":"2026-01-01T00:00:00.000Z","who":null,"importance":1,'
        b'"tags":null,"source_type":"manual","pinned":1,"type":"rule"},{"id":"old","content":"text",'
        b'"created_at":"2025-01-01 10:00:00","who":"me","importance":"high","tags":"a,b","source_type":null,"pinned":0,'
        b'"type":"fact"}],"stats":{"total":2,"withEmbeddings":1,"critical":2}}'
    )


@pytest.mark.parametrize(
    ("table", "column", "target"),
    [
        ("memories", "confidence", "/api/memory/m"),
        ("memory_history", "reason", "/api/memory/m/history"),
        ("memory_jobs", "error", "/api/memory/jobs/j"),
    ],
)
async def test_a_table_that_lacks_a_column_is_answered_as_a_crash(
    home: HomeDatabase, context: Context, table: str, column: str, target: str
) -> None:
    home.memory("m")
    home.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
    reply = await get(context, target)
    assert (reply.status, reply.body) == (500, b"Internal Server Error")


async def test_list_writes_odd_values_as_legacy(home: HomeDatabase, context: Context) -> None:
    home.memory(
        "odd", who=b"\x01\xff", source_type=b"", pinned=2**63 - 1, importance=1e300, tags="\x00\x1f\x7f\u2028'\"\\\b"
    )
    home.memory("bad", content=NotUtf8(b"a\xffb\xed\xa0\xbd"), importance=math.inf, pinned=1.5)
    home.memory(None, importance=-0.0)
    body = (await get(context, "/api/memories")).body.decode()
    assert '"who":{"0":1,"1":255},"importance":1e+300,"tags":"\\u0000\\u001f\x7f\u2028\'\\"\\\\\\b",' in body
    assert '"source_type":{},"pinned":9223372036854776000,' in body
    assert '{"id":"bad","content":"a\ufffdb\ufffd\ufffd\ufffd",' in body
    assert '"importance":null,"tags":null,"source_type":null,"pinned":1.5,' in body
    assert '{"id":null,"content":"text","created_at":"2026-01-01T00:00:00.000Z","who":null,"importance":0,' in body


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", "edcba"), ("?limit=", "edcba"), ("?limit=2", "ed"), ("?limit=2&offset=1", "dc"), ("?limit=0", ""),
        ("?limit=-1", "edcba"), ("?limit=-1&offset=-5", "edcba"), ("?limit=2.9", "ed"), ("?limit=%207", "edcba"),
        ("?limit=1e3", "e"), ("?limit=9007199254740993", "edcba"), ("?limit=2&limit=4", "ed"), ("?offset=9", ""),
        ("?limit=-9223372036854774784", "edcba"), ("?limit=3#x", "edc"),
    ],
)  # fmt: skip
async def test_list_takes_limits_as_sqlite_takes_parsed_integers(
    home: HomeDatabase, context: Context, query: str, ids: str
) -> None:
    for day, name in enumerate("abcde", start=1):
        home.memory(name, created_at=f"2026-01-0{day}T00:00:00.000Z")
    assert listed((await get(context, "/api/memories" + query)).body) == list(ids)


@pytest.mark.parametrize(
    "query",
    ["limit=abc", "limit=NaN", "limit=Infinity", "offset=x", "limit=9223372036854775808", "limit=" + "9" * 400,
     "limit=-9223372036854775808", "limit=٣"],
)  # fmt: skip
async def test_list_answers_200_with_an_error_when_sqlite_refuses_a_limit(context: Context, query: str) -> None:
    heard = Heard(context.daemon_log)
    reply = await get(context, "/api/memories?" + query)
    assert (reply.status, reply.body) == (200, UNLISTED)
    assert context.reader.failures == 0
    assert heard.told == [("error", "memory", "Error loading memories")]
    assert heard.entries[0]["error"] == {"name": "SQLiteError", "message": "datatype mismatch"}


async def test_list_of_a_home_without_database_is_the_same_error(tmp_path: Path) -> None:
    reply = await get(Context(Reader(tmp_path / "missing.db")), "/api/memories")
    assert (reply.status, reply.body) == (200, UNLISTED)


async def test_memories_are_listed_without_a_table_of_embeddings(home: HomeDatabase, context: Context) -> None:
    home.memory("m")
    home.execute("DROP TABLE embeddings")
    assert json.loads((await get(context, "/api/memories")).body)["stats"] == {
        "total": 1, "withEmbeddings": 0, "critical": 0,
    }  # fmt: skip


async def test_counts_follow_commits_of_others(home: HomeDatabase, context: Context) -> None:
    for total in range(5):
        for _ in range(4):  # more often than there are connections
            body = json.loads((await get(context, "/api/memories?limit=0")).body)
            assert body["stats"]["total"] == total
        home.memory(f"memory-{total}")


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.floats(0, 1).map(lambda number: round(number, 3)),
    st.text(st.characters(codec="utf-8")),
    st.binary(max_size=8),
    st.binary(max_size=8).map(NotUtf8),
)
ROWS = st.lists(st.fixed_dictionaries({name: VALUES for name in ("importance", "pinned", "who", "tags")}), max_size=4)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_page_written_by_sqlite_is_byte_for_byte_the_page_written_here(home: HomeDatabase, rows: list[Any]) -> None:
    home.execute("DELETE FROM memories")
    for number, row in enumerate(rows):
        home.memory(f"memory-{number}", **row)
    try:
        page = page_body(home.connection, 100, 0)
    except apsw.SQLError:
        return  # some value is left to the other one
    assert page == rows_body(home.connection, 100, 0)


@pytest.mark.parametrize("name", ["id", "content", "created_at", "who", "importance", "tags", "pinned", "type"])
@pytest.mark.parametrize("stored", [b"", b"\x00", b"\x01", b"\x0b", b"\x135", b"text"])
async def test_stored_bytes_never_pass_for_binary_json(
    home: HomeDatabase, context: Context, name: str, stored: bytes
) -> None:
    home.memory(**{"id": "some", name: stored})
    with pytest.raises(StatementError):
        await context.reader.run(page_body, 10, 0)
    memory = json.loads((await get(context, "/api/memories")).body)["memories"][0]
    assert memory[name] == {str(index): byte for index, byte in enumerate(stored)}


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 999_999), st.integers(0, 6))
def test_usual_numbers_are_written_by_sqlite(home: HomeDatabase, digits: int, places: int) -> None:
    importance = float(f"{digits}e-{places}")
    home.execute("DELETE FROM memories")
    home.memory("some", importance=importance)
    if importance >= 0.001:
        assert page_body(home.connection, 1, 0) == rows_body(home.connection, 1, 0)


async def test_memory_is_shown_with_every_key(home: HomeDatabase, context: Context) -> None:
    home.memory(
        "m", confidence=1e-7, version=2**53 + 1, access_count=-(2**63), source_type="session-end", source_id="s"
    )
    assert (await get(context, "/api/memory/m")).body == (
        b'{"id":"m","content":"text","type":"fact","importance":0.5,"tags":null,"pinned":0,"who":null,"source_id":"s",'
        b'"source_type":"session-end","project":null,"session_id":null,"confidence":1e-7,'
        b'"access_count":-9223372036854776000,"last_accessed":null,"is_deleted":0,"deleted_at":null,'
        b'"extraction_status":"none","embedding_model":null,"version":9007199254740992,'
        b'"created_at":"2026-01-01T00:00:00.000Z","updated_at":"2026-01-01T00:00:00.000Z","updated_by":"system",'
        b'"sessionId":"s"}'
    )


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({"source_type": "session", "source_id": "s"}, True),
        ({"source_type": "Session", "source_id": "s"}, False),
        ({"source_type": "session", "source_id": None}, False),
        ({"source_type": "session", "source_id": b"s"}, False),
        ({"source_type": b"session", "source_id": "s"}, False),
    ],
)
async def test_session_id_is_shown_for_what_a_session_left(
    home: HomeDatabase, context: Context, columns: dict[str, Any], shown: bool
) -> None:
    home.memory("m", **columns)
    assert ("sessionId" in json.loads((await get(context, "/api/memory/m")).body)) is shown


async def test_session_id_of_a_home_that_has_the_column(home: HomeDatabase, context: Context) -> None:
    home.execute("ALTER TABLE memories ADD COLUMN session_id")
    for id, session_id in (("named", "s"), ("unnamed", None), ("odd", 5)):
        home.memory(id, session_id=session_id, source_type="session", source_id="of source")
    shown = [json.loads((await get(context, f"/api/memory/{id}")).body) for id in ("named", "unnamed", "odd")]
    assert [(memory["session_id"], memory["sessionId"]) for memory in shown] == [
        ("s", "s"), (None, "of source"), (5, "of source"),
    ]  # fmt: skip


@pytest.mark.parametrize(("is_deleted", "status"), [(0, 200), (None, 200), (1, 404), (2, 404), ("x", 404)])
async def test_a_forgotten_memory_is_not_found(
    home: HomeDatabase, context: Context, is_deleted: Any, status: int
) -> None:
    home.memory("m", is_deleted=is_deleted)
    reply = await get(context, "/api/memory/m")
    assert reply.status == status
    if status == 404:
        assert reply.body == b'{"error":"not found"}'


@pytest.mark.parametrize(
    ("path", "id"),
    [("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("a+b", "a+b"), ("%zz", "%zz"), ("%E4%BD%A0", "你"), ("%20m%C2%A0", "m"),
     ("x%00y", "x\0y"), ("recall", "recall"), ("jobs", "jobs"), ("%F0%9F%98%80", "😀")],
)  # fmt: skip
async def test_ids_are_decoded_and_trimmed(home: HomeDatabase, context: Context, path: str, id: str) -> None:
    home.memory(id)
    assert json.loads((await get(context, f"/api/memory/{path}")).body)["id"] == id
    assert json.loads((await get(context, f"/api/memory/{path}/history")).body)["memoryId"] == id


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/api/memory/%20", b'{"error":"memory id is required"}'),
        ("/api/memory/%20/history", b'{"error":"memory id is required"}'),
        ("/api/memory/jobs/%EF%BB%BF", b'{"error":"job id is required"}'),
    ],
)
async def test_a_blank_id_is_refused(context: Context, target: str, body: bytes) -> None:
    reply = await get(context, target)
    assert (reply.status, reply.body) == (400, body)


async def test_history_is_oldest_first_with_absent_keys_left_out(home: HomeDatabase, context: Context) -> None:
    home.memory("m", is_deleted=1)
    home.event("m", created_at="2026-01-02", old_content="a", new_content="b", reason="r", actor_type="user",
               session_id="s", request_id="", metadata='{"b":1,"2":[1.0]}')  # fmt: skip
    home.event("m", created_at="2026-01-01", metadata="{bad", new_content=b"o")
    assert (await get(context, "/api/memory/m/history")).body == (
        b'{"memoryId":"m","count":2,"history":[{"id":"event-2","event":"updated","oldContent":null,"newContent":{"0":111},'
        b'"changedBy":"someone","reason":null,"metadata":"{bad","createdAt":"2026-01-01"},'
        b'{"id":"event-1","event":"updated","oldContent":"a","newContent":"b","changedBy":"someone","actorType":"user",'
        b'"reason":"r","metadata":{"2":[1],"b":1},"createdAt":"2026-01-02","sessionId":"s","requestId":""}]}'
    )


@pytest.mark.parametrize(
    ("stored", "shown"),
    [("", ""), ("null", None), (None, None), ("NaN", "NaN"), (b"5", 53), (b"{}", {"0": 123, "1": 125}), (b"", {})],
)
async def test_metadata_is_parsed_or_shown_as_stored(
    home: HomeDatabase, context: Context, stored: Any, shown: Any
) -> None:
    home.memory("m")
    home.event("m", metadata=stored)
    assert json.loads((await get(context, "/api/memory/m/history")).body)["history"][0]["metadata"] == shown


@pytest.mark.parametrize(
    ("query", "count"),
    [("", 200), ("?limit=3", 3), ("?limit=3abc", 3), ("?limit=1e1", 10), ("?limit=0", 200), ("?limit=-1", 200),
     ("?limit=1.5", 200), ("?limit=5000", 1000), ("?limit=1e309", 200), ("?limit=", 200)],
)  # fmt: skip
async def test_history_is_limited(home: HomeDatabase, context: Context, query: str, count: int) -> None:
    home.memory("m")
    home.execute("BEGIN")
    for _ in range(1100):
        home.event("m")
    home.execute("COMMIT")
    assert json.loads((await get(context, f"/api/memory/m/history{query}")).body)["count"] == count


async def test_history_of_an_unknown_memory_is_not_found(home: HomeDatabase, context: Context) -> None:
    home.event("gone")
    reply = await get(context, "/api/memory/gone/history")
    assert (reply.status, reply.body) == (404, b'{"error":"Not found","memoryId":"gone"}')


async def test_job_is_shown_without_payload_and_result(home: HomeDatabase, context: Context) -> None:
    home.job(
        "j", memory_id=b"x", error="boom", attempts=1.5, max_attempts=2**60, payload="p", result="r", status="dead"
    )
    assert (await get(context, "/api/memory/jobs/j")).body == (
        b'{"id":"j","memory_id":{"0":120},"document_id":null,"job_type":"extract","status":"dead","attempt_count":1.5,'
        b'"attempts":1.5,"max_attempts":1152921504606847000,"next_attempt_at":null,"last_error":"boom",'
        b'"last_error_code":null,"error":"boom","leased_at":null,"completed_at":null,"failed_at":null,'
        b'"created_at":"2026-01-01T00:00:00.000Z","updated_at":"2026-01-01T00:00:00.000Z"}'
    )


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({}, 200), ({"status": ""}, 200), ({"attempts": "2"}, 200), ({"attempts": math.inf}, 200),
        ({"attempts": None}, 404), ({"attempts": "x"}, 404), ({"max_attempts": b"3"}, 404), ({"job_type": b"x"}, 404),
        ({"created_at": b"x"}, 404), ({"updated_at": b"x"}, 404), ({"status": b"x"}, 404),
    ],
)  # fmt: skip
async def test_job_with_a_value_of_the_wrong_type_is_not_found(
    home: HomeDatabase, context: Context, columns: dict[str, Any], status: int
) -> None:
    home.job("j", **columns)
    reply = await get(context, "/api/memory/jobs/j")
    assert reply.status == status
    if status == 404:
        assert reply.body == b'{"error":"Job not found"}'


def test_declared_tables_are_those_that_the_statements_read(home: HomeDatabase) -> None:
    read = set()
    for query in vars(queries).values():
        if isinstance(query, Query):
            info = apsw.ext.query_info(home.connection, query.sql, actions=True)
            assert info.is_readonly
            read |= {action.table_name for action in info.actions or () if action.table_name}
    assert read == GROUP.reads
    assert GROUP.writes == frozenset()


def test_no_statement_takes_time_from_sqlite() -> None:
    assert [query for query in vars(queries).values() if isinstance(query, Query) and "'now'" in query.sql] == []


async def test_all_reads_of_one_request_see_one_state(home: HomeDatabase, context: Context) -> None:
    home.memory("m")

    def both(connection: Connection) -> tuple[bytes, bytes]:
        first = page_body(connection, 10, 0)
        home.memory("later")
        return first, page_body(connection, 10, 0)

    first, second = await context.reader.run(both)
    assert first == second
    assert listed((await get(context, "/api/memories")).body) == ["m", "later"]
