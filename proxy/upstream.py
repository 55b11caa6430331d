"""Connections to the legacy daemon: pooled HTTP/1.1, one exchange at a time each.

Ours because forwarding is what this project is for; what was measured is in docs/decisions/0003-upstream-client.md.
Nothing here knows of clients: a `ReplySink` hears of a reply as its bytes arrive.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

import httptools

from proxy import hop_headers
from proxy.exchange import Field, Framing

REPLY_HEAD_LIMIT_BYTES = 262_144
INTERIM_LIMIT = 100  # 1xx replies to one request
WRITE_BUFFER_LIMIT_BYTES = 65_536
# Left to itself the kernel takes up to 32 MB of a reply that its client does not read.
RECEIVE_BUFFER_BYTES = 1_048_576


class UpstreamError(Exception):
    """A reply did not come, or not whole. `replied`: whether any byte of it had arrived."""

    def __init__(self, message: str, *, replied: bool = False) -> None:
        super().__init__(message)
        self.replied = replied


class ConnectError(UpstreamError):
    """Nothing was sent: legacy does not listen, or did not accept in time."""


class ConnectionLostError(UpstreamError):
    """The connection ended before the reply did."""


class MalformedReplyError(UpstreamError):
    """Legacy's bytes are no HTTP reply that may be passed on."""


class ReplySink(Protocol):
    """Takes a reply as it arrives. `reply_flush` follows every batch of calls made for one piece of input."""

    head_only: bool  # the request was HEAD
    wants_upgrade: bool

    def interim(self, status: int, reason: bytes, fields: list[Field]) -> None: ...
    def reply_head(self, status: int, reason: bytes, fields: list[Field], framing: Framing) -> None: ...
    def reply_body(self, data: bytes) -> None: ...
    def reply_end(self, trailers: list[Field]) -> None: ...
    def reply_flush(self) -> None: ...
    def switched(self, reason: bytes, fields: list[Field], rest: bytes) -> None: ...
    def tunnelled(self, data: bytes) -> None: ...
    def lost(self, error: UpstreamError) -> None: ...
    def pause_request(self) -> None: ...
    def resume_request(self) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """One connection. `begin`, then `send`/`request_sent`; it returns to its pool when both sides are done."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._sink: ReplySink | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._request_done = True
        self._reusable = False
        self._replied = False
        self._interims = 0
        self._in_tunnel = False
        self._reset_message()
        self.idle_since = 0.0

    def _reset_message(self) -> None:
        self._status = 0
        self._reason = b""
        self._fields: list[Field] = []
        self._lower: dict[bytes, bytes] = {}
        self._trailers: list[Field] | None = None
        self._head_bytes = 0
        self._framing = Framing.NONE

    # ---- called by forward.py

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def begin(self, sink: ReplySink, head: bytes) -> None:
        """Send a request head; `sink` hears of everything that follows."""
        self._sink = sink
        self._request_done = False
        self._replied = False
        self._interims = 0
        self._reset_message()
        self.send(head)

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def request_sent(self) -> None:
        self._request_done = True

    def pause_reply(self) -> None:
        if self.open:
            assert self._transport is not None
            self._transport.pause_reading()

    def resume_reply(self) -> None:
        if self.open:
            assert self._transport is not None
            self._transport.resume_reading()

    def close(self, *, after_writes: bool = False) -> None:
        """End the connection, now or after what was written; its sink hears nothing more."""
        self._sink = None
        if self._transport is None:
            return
        if after_writes:
            self._transport.close()
        else:
            self._transport.abort()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER_LIMIT_BYTES)
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        sink = self._sink
        if sink is None:
            self.close()  # bytes that nobody asked for: never the start of the next reply
            return
        if self._in_tunnel:
            sink.tunnelled(data)
            return
        self._replied = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._switch(sink, data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            if self._sink is sink:
                self._fail(MalformedReplyError(f"legacy sent a malformed reply: {_cause(error)}", replied=True))
                return
            self._reusable = False  # the reply was whole; what follows it is not
        if self._sink is sink:
            self._head_bytes += len(data) if self._trailers is None else 0
            if self._head_bytes > REPLY_HEAD_LIMIT_BYTES:
                self._fail(MalformedReplyError("legacy sent a reply head without end", replied=True))
            else:
                sink.reply_flush()
        elif self._sink is None:
            self._recycle()

    def pause_writing(self) -> None:
        if self._sink is not None:
            self._sink.pause_request()

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.resume_request()

    def eof_received(self) -> bool:
        # Told at once: closing by itself, the transport would first wait for legacy to read the rest of our request.
        self._end_of_input(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_of_input(exc)
        self._transport = None
        self._pool.forget(self)

    def _end_of_input(self, exc: Exception | None) -> None:
        sink = self._sink
        if sink is None:
            return
        if self._framing is Framing.UNTIL_CLOSE and self._trailers is not None and exc is None:
            self._sink = None
            sink.reply_end([])
            return
        when = "in the middle of its reply" if self._replied else "without a reply"
        self._fail(ConnectionLostError(f"legacy closed the connection {when}", replied=self._replied))

    def _fail(self, error: UpstreamError) -> None:
        sink = self._sink
        self.close()
        if sink is not None:
            sink.lost(error)

    def _recycle(self) -> None:
        if self._reusable and self._request_done and self.open:
            self.resume_reply()  # a slow client may have paused it just as the reply ended
            self._pool.put(self)
        else:
            self.close()

    def _switch(self, sink: ReplySink, rest: bytes) -> None:
        if self._status != 101 or not sink.wants_upgrade:
            self._fail(MalformedReplyError("legacy switched protocols without being asked", replied=True))
            return
        self._in_tunnel = True
        sink.switched(self._reason, self._fields, rest)

    # ---- parser callbacks

    def on_message_begin(self) -> None:
        if self._sink is None:
            self._reusable = False
        self._reset_message()

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        value = value.strip(b" \t")
        if self._trailers is not None:
            self._trailers.append((name, value))
            return
        lower, ends_here = hop_headers.classify(name)
        if ends_here or lower == b"content-length":
            self._lower[lower] = self._lower[lower] + b", " + value if lower in self._lower else value
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        sink = self._sink
        if sink is None:
            return
        self._trailers = []
        self._status = status = self._parser.get_status_code()
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            raise MalformedReplyError("an HTTP version other than 1.1 or 1.0")
        if not 100 <= status <= 999:
            raise MalformedReplyError(f"status {status}")
        if status < 200:
            self._interims += 1
            if self._interims > INTERIM_LIMIT:
                raise MalformedReplyError("interim replies without end")
            return
        self._framing = framing = self._decide_framing(sink)
        options = hop_headers.named_by_connection(self._lower.get(b"connection"))
        self._reusable = (
            framing is not Framing.UNTIL_CLOSE
            and b"close" not in options
            and (self._parser.get_http_version() == "1.1" or b"keep-alive" in options)
        )
        sink.reply_head(status, self._reason, self._fields, framing)
        if framing is Framing.NONE and sink.head_only:
            # The parser would wait for the body that Content-Length promises to GET.
            self._parser = httptools.HttpResponseParser(self)
            self._end(sink)

    def _decide_framing(self, sink: ReplySink) -> Framing:
        coding = self._lower.get(b"transfer-encoding")
        if sink.head_only or self._status in (204, 304):
            return Framing.NONE
        if coding is not None:
            if coding.lower() != b"chunked":
                raise MalformedReplyError("a transfer coding other than chunked")
            return Framing.CHUNKED
        return Framing.SIZED if b"content-length" in self._lower else Framing.UNTIL_CLOSE

    def on_body(self, body: bytes) -> None:
        if self._sink is not None:
            self._sink.reply_body(body)
        else:
            self._reusable = False

    def on_message_complete(self) -> None:
        sink = self._sink
        if sink is None:
            return
        if self._status >= 200:
            self._end(sink)
        elif self._status != 101:
            sink.interim(self._status, self._reason, self._fields)

    def _end(self, sink: ReplySink) -> None:
        # In this order: should the sink fail, the parser's error reaches it as a lost reply, not as silence.
        sink.reply_end(self._trailers or [])
        self._sink = None


def _cause(error: httptools.HttpParserError) -> object:
    return error.__context__ if isinstance(error.__context__, UpstreamError) else error


class Pool:
    """Idle connections to one address, youngest first. They expire before legacy would close them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, idle_s: float, connect_timeout_s: float) -> None:
        self._loop = loop
        self._idle_s = idle_s
        self._connect_timeout_s = connect_timeout_s
        self._address: tuple[str, int] = ("127.0.0.1", 0)
        self._idle: list[UpstreamConnection] = []
        self.open_connections: set[UpstreamConnection] = set()

    def set_address(self, address: tuple[str, int]) -> None:
        """Use `address` from now on; idle connections to another one are closed."""
        if address != self._address:
            self._address = address
            self.close_idle()

    def take_idle(self) -> UpstreamConnection | None:
        """A connection that was used before and is still good, or None."""
        oldest = self._loop.time() - self._idle_s
        while self._idle:
            connection = self._idle.pop()
            if connection.open and connection.idle_since > oldest:
                return connection
            connection.close()
        return None

    async def connect(self) -> UpstreamConnection:
        """A fresh connection. Raises ConnectError."""
        host, port = self._address
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await self._loop.create_connection(lambda: UpstreamConnection(self), host, port)
        except TimeoutError as error:
            raise ConnectError(f"legacy did not accept a connection on {host}:{port} in time") from error
        except OSError as error:
            raise ConnectError(f"legacy does not listen on {host}:{port}: {error.strerror or error}") from error
        self.open_connections.add(connection)
        return connection

    def put(self, connection: UpstreamConnection) -> None:
        connection.idle_since = self._loop.time()
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        self.open_connections.discard(connection)

    def expire(self) -> None:
        """Close what has idled too long; called twice a second."""
        oldest = self._loop.time() - self._idle_s
        keep = []
        for connection in self._idle:
            if connection.open and connection.idle_since > oldest:
                keep.append(connection)
            else:
                connection.close()
        self._idle = keep

    def close_idle(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def close(self) -> None:
        for connection in tuple(self.open_connections):
            connection.close()
        self._idle.clear()
