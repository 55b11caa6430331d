"""A stream of legacy's, followed for as long as somebody listens: asked for again whenever it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from proxy.exchange import Field, Framing
from proxy.legacy.status import Legacy
from proxy.own_request import own_request
from proxy.upstream import Pool, UpstreamConnection, UpstreamError

AGAIN_AFTER_S: Final = 1.0
MOST_WAITING: Final = 1_000  # pieces; a listener that takes none for so long loses the rest of this connection


class LegacyEvents:
    """One for the process; on the event loop only."""

    def __init__(self, pool: Pool, legacy: Legacy, own_token: Callable[[], str | None]) -> None:
        self._pool = pool
        self._legacy = legacy
        self._own_token = own_token

    async def follow(self, target: bytes) -> AsyncGenerator[bytes, None]:
        """Server-sent events of `GET target`, each whole with its empty line; never ends by itself."""
        while True:
            if self._legacy.accepts():
                try:
                    async for event in self._once(target):
                        yield event
                except UpstreamError:
                    pass  # it restarts, or has gone; asked again
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _once(self, target: bytes) -> AsyncGenerator[bytes, None]:
        self._pool.set_address(self._legacy.address)
        connection = await self._pool.connect()
        sink = _Pieces(connection)
        try:
            connection.begin(sink, own_request(target, self._legacy.address, self._own_token(), "text/event-stream"))
            connection.request_sent()
            rest = b""
            while piece := await sink.next():
                *events, rest = (rest + piece).split(b"\n\n")
                for event in events:
                    yield event + b"\n\n"
        finally:
            connection.close()


class _Pieces:
    """Keeps what arrives until it is taken. A ReplySink."""

    head_only = False
    wants_upgrade = False

    def __init__(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_usable = False

    async def next(self) -> bytes:
        """The next piece; b"" at the end, however it came."""
        return await self._waiting.get()

    def reply_head(self, status: int, reason: bytes, fields: list[Field], framing: Framing) -> None:
        self._is_usable = status == 200

    def reply_body(self, data: bytes) -> None:
        if not self._is_usable or self._waiting.qsize() >= MOST_WAITING:
            self._connection.close()
            self._waiting.put_nowait(b"")
        elif data:
            self._waiting.put_nowait(data)

    def reply_end(self, trailers: list[Field]) -> None:
        self._waiting.put_nowait(b"")

    def lost(self, error: UpstreamError) -> None:
        self._waiting.put_nowait(b"")

    def switched(self, reason: bytes, fields: list[Field], rest: bytes) -> None:
        self._waiting.put_nowait(b"")

    def interim(self, status: int, reason: bytes, fields: list[Field]) -> None:
        """Not the reply yet."""

    def reply_flush(self) -> None:
        """Each piece is handed on at once."""

    def tunnelled(self, data: bytes) -> None:
        """Never: nothing was upgraded."""

    def pause_request(self) -> None:
        """The request is one small piece."""

    def resume_request(self) -> None:
        """See pause_request."""
