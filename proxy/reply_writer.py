"""A reply of our own onto the wire: CORS grant, date, and the mark that it was answered natively."""

from __future__ import annotations

import asyncio
import http
import time
from email.utils import formatdate

from native_routes.reply import Reply, Stream
from proxy.exchange import Exchange, Field, Framing

NATIVE: tuple[Field, ...] = ((b"x-signet-served-by", b"native"),)
REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}

_date: tuple[int, bytes] = (0, b"")


def send_reply(exchange: Exchange, reply: Reply, grant: tuple[Field, ...]) -> None:
    """Send `reply` whole, in legacy's field order: grant, its own fields, length, date."""
    fields = (*grant, *reply.headers, (b"date", _http_date()), *NATIVE)
    exchange.answer(reply.status, REASONS.get(reply.status, b""), fields, reply.body)


async def send_stream(exchange: Exchange, stream: Stream, grant: tuple[Field, ...]) -> None:
    """Send pieces as they come, until there are no more or the client has gone."""
    fields = (*grant, *stream.headers, (b"date", _http_date()), *NATIVE)
    lines = [part for name, value in fields for part in (name, b": ", value, b"\r\n")]
    has_body = exchange.head.method != "HEAD"
    exchange.start(stream.status, REASONS.get(stream.status, b""), lines, Framing.CHUNKED if has_body else Framing.NONE)
    if not has_body:
        exchange.finish()
        return
    exchange.flush()
    relay = asyncio.ensure_future(_relay(exchange, stream))
    exchange.when_gone(lambda: _end(relay))
    try:
        await asyncio.wait([relay])
    finally:
        exchange.when_gone(None)
        relay.cancel()
        await asyncio.wait([relay])  # it may be waiting inside of the pieces, which then cannot be closed
        await stream.pieces.aclose()
    if not relay.cancelled() and (error := relay.exception()) is not None:
        raise error
    if not (exchange.gone or exchange.complete):
        exchange.finish()


def _end(task: asyncio.Future[None]) -> None:
    task.cancel()


async def _relay(exchange: Exchange, stream: Stream) -> None:
    if exchange.gone:
        return  # before anybody could hear of it
    async for piece in stream.pieces:
        if exchange.complete:
            return  # cut off, because the proxy stops
        exchange.write(piece)
        exchange.flush()
        await exchange.writable()


def _http_date() -> bytes:
    """Now, as RFC 9110 §5.6.7 writes it; formatted once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True).encode())
    return _date[1]
