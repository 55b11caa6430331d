"""The ASGI view of an exchange, for applications that know nothing of ours (Starlette's, an SDK's)."""

from __future__ import annotations

import http
from collections.abc import MutableMapping
from typing import Any

from proxy.exchange import Exchange, Framing

EXTENSION = "signet.exchange"
BODY_LIMIT_BYTES = 100 * 1024 * 1024

Message = MutableMapping[str, Any]


class AsgiBridge:
    """`receive` and `send` of one exchange. The request body is handed over whole."""

    __slots__ = ("_exchange", "_received")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._received = False

    async def receive(self) -> Message:
        if self._received:
            await self._exchange.wait_gone()
            return {"type": "http.disconnect"}
        self._received = True
        body = await self._exchange.read_body(BODY_LIMIT_BYTES)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        exchange = self._exchange
        if exchange.gone:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
            return
        exchange.write(message.get("body", b""))
        if message.get("more_body", False):
            exchange.flush()
            await exchange.writable()
        else:
            exchange.finish()

    def _start(self, status: int, headers: Any) -> None:
        pieces: list[bytes] = []
        sized = False
        for name, value in headers:
            sized = sized or name == b"content-length"
            pieces += (name, b": ", value, b"\r\n")
        if self._exchange.head.method == "HEAD" or status in (204, 304):
            framing = Framing.NONE
        else:
            framing = Framing.SIZED if sized else Framing.CHUNKED
        self._exchange.start(status, http.HTTPStatus(status).phrase.encode(), pieces, framing)
