"""Requests to the handlers of recall, as the app sends them, on a home of their own with real parts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from native_routes.daemon_log import DaemonLog
from native_routes.declaration import Handler, NativeRequest
from native_routes.memory_config import EmbeddingConfig, MemoryConfig
from native_routes.reader import Reader
from native_routes.recall import handlers
from native_routes.recall.access_tracking import AccessTracker
from native_routes.recall.search import Searcher
from native_routes.reply import Refusal, Reply
from native_routes.searching.embedders import Embedder
from native_routes.searching.vectors import VectorSearch
from tests.native_routes.home_database import HomeDatabase
from tests.native_routes.memories_requests import Head, StoppedClock

WORDS_ALONE = replace(MemoryConfig.of({}), embedding=EmbeddingConfig(provider="none"))


@dataclass
class Context:
    reader: Reader
    embedder: Embedder
    vectors: VectorSearch
    searcher: Searcher
    tracker: AccessTracker
    settings: MemoryConfig = WORDS_ALONE
    clock: StoppedClock = field(default_factory=StoppedClock)

    def __post_init__(self) -> None:
        self.daemon_log = DaemonLog(self.reader.path.parent / "logs", self.clock)

    async def config(self) -> MemoryConfig:
        return self.settings

    async def recall(self, query: Any, **fields: Any) -> Reply:
        return await self.post({"query": query, **fields})

    async def post(self, body: Any, headers: dict[bytes, bytes] | None = None) -> Reply:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self._ask(handlers.recall, "POST", b"/api/memory/recall", raw, headers or {})

    async def search(self, target: str) -> Reply:
        return await self._ask(handlers.search, "GET", target.encode())

    async def search_alias(self, target: str) -> Reply:
        return await self._ask(handlers.search_alias, "GET", target.encode())

    async def similar(self, target: str) -> Reply:
        return await self._ask(handlers.similar, "GET", target.encode())

    async def _ask(
        self, handler: Handler, method: str, target: bytes, body: bytes = b"", headers: dict[bytes, bytes] | None = None
    ) -> Reply:
        async def read() -> bytes:
            return body

        path, _, query = target.decode().partition("?")
        request = NativeRequest(Head(method, target, headers or {}), path, {}, query, None, read, self)
        try:
            reply = await handler(request)
            assert isinstance(reply, Reply)
            return reply
        except Refusal as refusal:
            return refusal.reply()


@asynccontextmanager
async def context_of(home: HomeDatabase, settings: MemoryConfig = WORDS_ALONE) -> AsyncIterator[Context]:
    tracker = AccessTracker()
    context = Context(
        Reader(home.path), Embedder(), VectorSearch(home.path, books=tracker), Searcher(tracker), tracker, settings
    )
    try:
        yield context
    finally:
        await context.vectors.close()
        await context.reader.close()
        await context.embedder.close()
        await context.daemon_log.close()


def ids(reply: Reply) -> list[str]:
    assert reply.status == 200
    return [result["id"] for result in json.loads(reply.body)["results"]]


def body(reply: Reply) -> Any:
    return json.loads(reply.body)
