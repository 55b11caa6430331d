"""`GET /api/logs` and `GET /api/logs/stream`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final, Protocol

from native_routes.daemon_log import DaemonLog
from native_routes.declaration import NativeRequest
from native_routes.javascript.dates import parse_date
from native_routes.javascript.primitives import parse_int, stringify
from native_routes.log_entries import DEFAULT_LIMIT, LogQuery, recent_entries
from native_routes.query_string import query_parameter
from native_routes.reply import Reply, Stream, json_reply

CONNECTED: Final = b'data: {"type":"connected"}\n\n'
MOST_WAITING: Final = 1_000  # events that a slow listener has not taken; it then misses the oldest
EVENT_STREAM: Final = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache"))


class Context(Protocol):
    @property
    def logs_path(self) -> Path: ...
    @property
    def daemon_log(self) -> DaemonLog: ...
    @property
    def legacy_events(self) -> Callable[[bytes], AsyncGenerator[bytes, None]]: ...


async def list_entries(request: NativeRequest) -> Reply:
    """The last entries of the daemon's log, oldest first. Legacy: GET /api/logs."""
    context: Context = request.context
    target = request.head.target
    since = query_parameter(target, "since")
    limit = query_parameter(target, "limit")
    wanted = LogQuery(
        limit=parse_int(limit) if limit else DEFAULT_LIMIT,
        level=query_parameter(target, "level"),
        category=query_parameter(target, "category"),
        since_ms=_time_ms(since) if since else None,
    )
    return await asyncio.to_thread(_listing, context.logs_path, wanted)


def _time_ms(text: str) -> float:
    ms = parse_date(text)
    return math.nan if ms is None else ms


def _listing(folder: Path, wanted: LogQuery) -> Reply:
    """Blocks: there may be 50 MB of them to write as JSON too."""
    entries = recent_entries(folder, wanted)
    return json_reply({"logs": entries, "count": len(entries)})


async def stream_entries(request: NativeRequest) -> Stream:
    """Entries as they are made, ours and those of the legacy daemon while it runs. Legacy: GET /api/logs/stream."""
    context: Context = request.context
    return Stream(200, EVENT_STREAM, _entries(context.daemon_log, context.legacy_events(request.head.target)))


async def _entries(log: DaemonLog, legacys: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    waiting: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)

    def add(event: bytes) -> None:
        if waiting.full():
            waiting.get_nowait()
        waiting.put_nowait(event)

    async def follow() -> None:
        async for event in legacys:
            if event != CONNECTED:
                add(event)

    stop = log.listen(lambda entry: add(f"data: {stringify(entry)}\n\n".encode()))
    following = asyncio.ensure_future(follow())
    try:
        yield CONNECTED
        while True:
            yield await waiting.get()
    finally:
        stop()
        following.cancel()
        await asyncio.wait([following])
        await legacys.aclose()
