from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from native_routes.daemon_log import FILES_KEPT, DaemonLog
from native_routes.database import StatementError
from native_routes.log_entries import newest_first
from native_routes.logs.handlers import CONNECTED, stream_entries
from native_routes.only_compared import only_compared
from native_routes.reply import Stream
from tests.native_routes.asking import Head, StoppedClock, ask, value


@dataclass
class Context:
    logs_path: Path
    clock: StoppedClock = field(default_factory=StoppedClock)
    events: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self.daemon_log = DaemonLog(self.logs_path, self.clock)

    async def legacy_events(self, target: bytes) -> AsyncGenerator[bytes, None]:
        for event in self.events:
            yield event
        await asyncio.Event().wait()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path / "logs")


def write(context: Context, day: str, *entries: dict[str, Any], suffix: str = "") -> None:
    context.logs_path.mkdir(exist_ok=True)
    lines = "".join(f"{json.dumps({'timestamp': f'{day}T00:00:00.000Z', **entry})}\n" for entry in entries)
    (context.logs_path / f"signet-{day}{suffix}.log").write_text(lines)


async def messages(context: Context, query: str = "") -> list[str]:
    reply = value(await ask(context, "GET", f"/api/logs{query}"))
    assert reply["count"] == len(reply["logs"])
    return [entry["message"] for entry in reply["logs"]]


async def test_entries_of_all_days_come_oldest_first(context: Context) -> None:
    write(context, "2020-01-02", {"message": "b"}, {"message": "c"})
    write(context, "2020-01-01", {"message": "a"})
    write(context, "2020-01-03", {"message": "not of this log"}, suffix="x")

    assert await messages(context) == ["a", "b", "c"]


async def test_the_tail_is_taken_before_it_is_filtered(context: Context) -> None:
    entries = [{"message": str(n), "category": "tea" if n < 3 else "milk"} for n in range(10)]
    write(context, "2020-01-01", *entries)

    assert await messages(context, "?category=tea&limit=3") == []
    assert await messages(context, "?category=tea&limit=4") == ["2"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?limit=0", []), ("?limit=-1", []), ("?limit=abc", ["a", "b", "c"]), ("?limit=2.9", ["b", "c"]),
        (f"?limit=-{'9' * 400}", []), (f"?limit={'9' * 400}", ["a", "b", "c"]),
        ("?level=warn", ["b", "c"]), ("?level=none", ["a", "b", "c"]), ("?category=tea", ["a"]),
        ("?since=2020-01-02", []), ("?since=garbage", ["a", "b", "c"]), ("?since=2019", ["a", "b", "c"]),
    ],
)  # fmt: skip
async def test_bounds_and_filters_are_legacys(context: Context, query: str, found: list[str]) -> None:
    write(
        context, "2020-01-01",
        {"message": "a", "level": "info", "category": "tea"},
        {"message": "b", "level": "warn"},
        {"message": "c", "level": "error"},
    )  # fmt: skip

    assert await messages(context, query) == found


async def test_null_is_in_the_way_of_a_time_and_of_the_order_also_when_the_time_is_none(context: Context) -> None:
    """Legacy asks each entry for its time as soon as one is asked for, and null has none."""
    context.logs_path.mkdir()
    lines = ['{"timestamp":"2020-01-02","message":"b"}', "null", '{"timestamp":"2020-01-01","message":"a"}']
    (context.logs_path / "signet-2020-01-01.log").write_text("\n".join(lines))

    unfiltered = value(await ask(context, "GET", "/api/logs"))["logs"]
    assert [entry and entry["message"] for entry in unfiltered] == ["b", None, "a"]
    assert await messages(context, "?since=garbage") == ["a", "b"]


async def test_what_is_no_entry_is_left_out(context: Context) -> None:
    context.logs_path.mkdir()
    (context.logs_path / "signet-2020-01-01.log").write_bytes(b'{"message":"a"}\nhalf {\n\n\xff\xfe\n{"message":"b"}')

    assert await messages(context) == ["a", "b"]


async def test_without_a_folder_there_are_no_entries(context: Context) -> None:
    assert await messages(context) == []


async def test_our_entries_are_in_the_file_and_read_back(context: Context) -> None:
    context.daemon_log.info("memory", "Memory saved", {"id": "m1", "pinned": False})
    context.daemon_log.error("memory", "Recall failed", StatementError("why"))
    await context.daemon_log.close()

    lines = (context.logs_path / "signet-2026-11-21.log").read_text().splitlines()
    assert lines[0] == (
        '{"timestamp":"2026-11-21T04:06:40.000Z","level":"info","category":"memory","message":"Memory saved",'
        '"data":{"id":"m1","pinned":false}}'
    )
    assert json.loads(lines[1])["error"] == {"name": "SQLiteError", "message": "why"}
    assert await messages(context) == ["Memory saved", "Recall failed"]


async def test_entries_that_cannot_be_written_wait_for_the_disk(context: Context) -> None:
    context.logs_path.write_text("a file where the folder should be")
    context.daemon_log.info("memory", "kept")
    await context.daemon_log.close()
    assert "exists" in str(context.daemon_log.problem)

    context.logs_path.unlink()
    await context.daemon_log.close()

    assert str(context.daemon_log.problem) == "None"
    assert await messages(context) == ["kept"]


async def test_a_full_file_is_set_aside_and_the_oldest_go(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("native_routes.daemon_log.FILE_LIMIT_BYTES", 100)
    for _ in range(FILES_KEPT + 3):
        context.clock.ms += 1
        context.daemon_log.info("memory", "x" * 100)
        await context.daemon_log.close()

    names = [path.name for path in newest_first(context.logs_path)]
    assert len(names) == FILES_KEPT
    assert names[0] == "signet-2026-11-21-2026-11-21T04-06-40-008Z.log"


async def test_the_stream_has_our_entries_and_legacys(tmp_path: Path) -> None:
    theirs = b'data: {"message":"theirs"}\n\n'
    context = Context(tmp_path, events=(CONNECTED, theirs))
    request = Head("GET", b"/api/logs/stream")
    stream = await stream_entries(type("Request", (), {"context": context, "head": request})())
    assert isinstance(stream, Stream)
    pieces = stream.pieces

    assert await anext(pieces) == CONNECTED
    assert await anext(pieces) == theirs
    context.daemon_log.info("memory", "ours")
    assert b'"message":"ours"' in await anext(pieces)
    await pieces.aclose()
    await context.daemon_log.close()


async def test_entries_are_written_once_where_a_full_file_cannot_be_set_aside(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("native_routes.daemon_log.FILE_LIMIT_BYTES", 10)
    (context.logs_path / "signet-2026-11-21-2026-11-21T04-06-40-000Z.log").mkdir(parents=True)  # in the way
    context.daemon_log.info("memory", "once")
    await context.daemon_log.close()
    await context.daemon_log.close()

    assert (context.logs_path / "signet-2026-11-21.log").read_text().count("once") == 1
    assert context.daemon_log.problem is None


@pytest.mark.parametrize("lines", ["null", "null\nnull", '5\n"x"', '{"timestamp":[[[]]]}\n{}', '{"level":[]}'])
async def test_lines_that_no_daemon_writes_are_shown_and_raise_nothing(context: Context, lines: str) -> None:
    context.logs_path.mkdir()
    (context.logs_path / "signet-2020-01-01.log").write_text(lines)

    reply = await ask(context, "GET", "/api/logs")

    assert value(reply)["logs"] == [json.loads(line) for line in lines.split("\n")]
    assert (await ask(context, "GET", "/api/logs?level=warn&category=x&since=2020")).status == 200


async def test_an_answer_that_is_only_compared_tells_nothing(context: Context) -> None:
    entries: list[object] = []
    context.daemon_log.listen(entries.append)
    with only_compared():
        context.daemon_log.error("memory", "told by legacy")
    context.daemon_log.error("memory", "told by us")
    await context.daemon_log.close()

    assert await messages(context) == ["told by us"]
    assert len(entries) == 1
