"""The three routes: what each request asks for, and the shape of its reply."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from native_routes.daemon_log import DaemonLog
from native_routes.database import DatabaseError
from native_routes.declaration import NativeRequest
from native_routes.embeddings.health_report import checks, report
from native_routes.embeddings.listing import UnreadableEmbedding, page_body, read_page
from native_routes.javascript.primitives import parse_int
from native_routes.kept_state import kept
from native_routes.memory_config import MemoryConfig
from native_routes.outside import Clock, now_text
from native_routes.query_string import query_parameter
from native_routes.reader import Reader
from native_routes.reply import UNCAUGHT, Reply, json_reply
from native_routes.searching.embedding_provider import EmbeddingProvider

JSON: Final = ((b"content-type", b"application/json"),)
STATUS_TARGET: Final = b"/api/embeddings/status"


class Context(Protocol):
    @property
    def reader(self) -> Reader: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def config(self) -> Callable[[], Awaitable[MemoryConfig]]: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def daemon_log(self) -> DaemonLog: ...
    async def borrow(self, target: bytes) -> Mapping[str, Any] | None: ...


async def list_embeddings(request: NativeRequest) -> Reply:
    """Memories with an embedding, newest first, forgotten ones too; 200 also when they cannot be read.

    Differs: a database without the table is told as it is; no script in the home is run to export an older one.
    """
    target = request.head.target
    vectors = query_parameter(target, "vectors") == "true"
    limit, offset = _bounded(target, "limit", 600, 50, 5000), _bounded(target, "offset", 0, 0, 100_000)
    try:
        body = await _list_body(_context(request).reader, limit, offset, vectors)
    except (DatabaseError, UnreadableEmbedding) as error:
        return json_reply(_unlisted(error, limit, offset))
    return Reply(200, body, JSON)


async def show_status(request: NativeRequest) -> Reply:
    """Whether texts can be embedded, and how far legacy's tracker is; null when there is none."""
    context = _context(request)
    config, told = await context.config(), await context.borrow(STATUS_TARGET)
    status = await _provider(context).status(context, config.embedding, told)
    return json_reply({**status.as_json(), "tracker": told.get("tracker") if told is not None else None})


async def show_health(request: NativeRequest) -> Reply:
    """Seven checks and their score; what the daemon says of any fault where the vectors cannot be read."""
    context = _context(request)
    config = (await context.config()).embedding
    status = await _provider(context).status(context, config, await context.borrow(STATUS_TARGET))
    try:
        found = await context.reader.run(checks, config, status)
    except DatabaseError:
        return UNCAUGHT
    return json_reply(report(found, config, now_text(context.clock)))


def _context(request: NativeRequest) -> Context:
    context: Context = request.context
    return context


def _provider(context: Context) -> EmbeddingProvider:
    return kept(context.reader, EmbeddingProvider)


def _bounded(target: bytes, name: str, default: int, least: int, most: int) -> int:
    number = parse_int(query_parameter(target, name) or "")
    return int(max(least, min(most, number))) if math.isfinite(number) else default


async def _list_body(reader: Reader, limit: int, offset: int, vectors: bool) -> bytes:
    """The reading threads are for reading: numbers are written elsewhere."""
    if not vectors:
        return await reader.run(lambda connection: page_body(read_page(connection, limit, offset, False)))
    page = await reader.run(read_page, limit, offset, True)
    return await asyncio.to_thread(page_body, page)


def _unlisted(error: Exception, limit: int, offset: int) -> dict[str, Any]:
    return {
        "error": str(error),
        "embeddings": [],
        "count": 0,
        "total": 0,
        "limit": limit,
        "offset": offset,
        "hasMore": False,
    }
