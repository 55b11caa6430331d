"""One request and the reply to it, as they cross the client's connection.

`wire.py` creates an exchange when a request head is complete and feeds it the body; whoever answers (`forward.py`,
a native handler, a refusal) writes the reply here. Framing, keep-alive and back-pressure are decided in this file only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.request_rules import Request
    from proxy.wire import Wire

BUFFER_LIMIT_BYTES = 65_536
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
Field = tuple[bytes, bytes]


class Framing(Enum):
    """How the end of a reply body is told. Source: RFC 9112 §6."""

    SIZED = auto()  # Content-Length is among the fields
    CHUNKED = auto()
    UNTIL_CLOSE = auto()
    NONE = auto()  # HEAD, 204, 304: no body whatever the fields say


class ClientGoneError(Exception):
    """The client closed its connection before the request or the reply was complete."""


class BodyTooLargeError(Exception):
    """A native handler's request body is over the limit it gave."""


class BodySink(Protocol):
    """Takes a request body as it arrives, and hears of the client's pace and departure."""

    def feed(self, data: bytes) -> None: ...
    def end(self, trailers: list[Field]) -> None: ...
    def client_gone(self) -> None: ...
    def pause_reply(self) -> None: ...
    def resume_reply(self) -> None: ...


class Exchange:
    """One request and its reply. Not thread-safe: every method runs on the event loop."""

    __slots__ = (
        "_buffer",
        "_buffered",
        "_client_slow",
        "_framing",
        "_out",
        "_sink",
        "_waiter",
        "_when_gone",
        "_wire",
        "answered_by",
        "awaits_continue",
        "complete",
        "failure_code",
        "gone",
        "has_body",
        "head",
        "in_tunnel",
        "keep_alive",
        "request_complete",
        "started",
        "status",
        "trailers",
        "wants_upgrade",
    )

    def __init__(self, wire: Wire, request: Request) -> None:
        self._wire = wire
        self.head = request.head
        self.keep_alive = request.keep_alive
        self.has_body = request.has_body
        self.awaits_continue = request.awaits_continue
        self.wants_upgrade = request.wants_upgrade
        self.request_complete = False
        self.trailers: list[Field] = []
        self.started = False
        self.status = 0
        self.answered_by = "proxy"  # or legacy, or native: for the counters
        self.failure_code: str | None = None  # of x-signet-proxy-error, when that is the answer
        self.complete = False
        self.gone = False
        self.in_tunnel = False
        self._framing = Framing.NONE
        self._client_slow = False
        self._out: list[bytes] = []
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._sink: BodySink | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._when_gone: Callable[[], None] | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        # asyncio.get_running_loop() asks the kernel for our pid each time; on the hot path that shows.
        return self._wire.loop

    # ---- the request, called by wire.py

    def feed(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink.feed(data)
        elif not self.complete:
            self._buffer.append(data)
            self._buffered += len(data)
            if self._buffered > BUFFER_LIMIT_BYTES:
                self._wire.hold_reading(self)
            self._wake()

    def feed_end(self, trailers: list[Field]) -> None:
        self.request_complete = True
        self.awaits_continue = False
        self.trailers = trailers
        if self._sink is not None:
            self._sink.end(trailers)
        self._wake()

    def client_gone(self) -> None:
        """The client's connection is lost, or it hung up and its grace is over."""
        if self.gone:
            return
        self.gone = True
        self._out.clear()
        if self._sink is not None:
            self._sink.client_gone()
        if self._when_gone is not None:
            self._when_gone()
        self._wake()

    def client_paused(self, paused: bool) -> None:
        self._client_slow = paused
        if self._sink is not None:
            if paused:
                self._sink.pause_reply()
            else:
                self._sink.resume_reply()
        if not paused:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- the request, read by whoever answers

    def attach(self, sink: BodySink) -> None:
        """Hand the body to `sink` from here on: first what was buffered, then each piece as it arrives."""
        self._sink = sink
        buffered, self._buffer = self._buffer, []
        self._buffered = 0
        for data in buffered:
            sink.feed(data)
        if self.request_complete:
            sink.end(self.trailers)
        else:
            self._wire.release_reading(self)

    async def wait_gone(self) -> None:
        """Return when the client has gone or the reply is complete."""
        while not (self.gone or self.complete):
            self._waiter = self._wire.loop.create_future()
            await self._waiter

    def when_gone(self, act: Callable[[], None] | None) -> None:
        """Call `act` once the client has gone; None takes it back. For who works on an answer meanwhile."""
        self._when_gone = act

    async def writable(self) -> None:
        """Return when the client has taken most of what was written."""
        while self._client_slow and not self.gone:
            self._waiter = self._wire.loop.create_future()
            await self._waiter

    @property
    def streams(self) -> bool:
        """Whether a reply of unknown length is under way."""
        return self.started and self._framing in (Framing.CHUNKED, Framing.UNTIL_CLOSE)

    def hold_request(self) -> None:
        """Stop reading from the client until `release_request`: the body goes nowhere for now."""
        self._wire.hold_reading(self)

    def release_request(self) -> None:
        self._wire.release_reading(self)

    async def read_body(self, limit_bytes: int) -> bytes:
        """The whole request body. Raises BodyTooLargeError over the limit, ClientGoneError when it never ends."""
        if int(self.head.fields.get(b"content-length", b"0")) > limit_bytes:
            raise BodyTooLargeError  # before it is asked for or read
        self.send_continue()
        while not self.request_complete:
            if self.gone:
                raise ClientGoneError
            if self._buffered > limit_bytes:
                raise BodyTooLargeError
            self._wire.release_reading(self)
            self._waiter = self._wire.loop.create_future()
            await self._waiter
        if self._buffered > limit_bytes:
            raise BodyTooLargeError
        return b"".join(self._buffer)

    def send_continue(self) -> None:
        """Ask a client that waits with `Expect: 100-continue` for its body; nothing where it does not wait."""
        if self.awaits_continue and not self.started and not self.gone:
            self.awaits_continue = False
            self._wire.write(CONTINUE)

    # ---- the reply

    def interim(self, status: int, reason: bytes, fields: Iterable[Field]) -> None:
        """Relay a 1xx reply. HTTP/1.0 clients know none. Source: RFC 9110 §15.2."""
        if self.started or self.gone or self.head.version == "1.0":
            return
        if status == 100:
            if not self.awaits_continue:
                return  # we have asked for the body already, or the client never waited
            self.awaits_continue = False
        out = [b"HTTP/1.1 %d %b\r\n" % (status, reason)]
        for name, value in fields:
            out += (name, b": ", value, b"\r\n")
        out.append(b"\r\n")
        self._wire.write(b"".join(out))

    def start(self, status: int, reason: bytes, pieces: Sequence[bytes], framing: Framing) -> None:
        """Queue the reply's head. `pieces` are the field lines, CRLF included, without framing and Connection."""
        self.started = True
        self.status = status
        if framing is Framing.CHUNKED and self.head.version == "1.0":
            framing = Framing.UNTIL_CLOSE
        self._framing = framing
        if framing is Framing.UNTIL_CLOSE or not self.request_complete:
            # A body that is still arriving would be read as the next request, so the connection ends with this reply.
            self.keep_alive = False
        out = self._out
        out.append(b"HTTP/1.1 %d %b\r\n" % (status, reason))
        out += pieces
        if framing is Framing.CHUNKED:
            out.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            out.append(b"connection: close\r\n")
        elif self.head.version == "1.0":
            out.append(b"connection: keep-alive\r\n")
        out.append(b"\r\n")

    def write(self, data: bytes) -> None:
        """Queue a piece of the body; `flush` sends what is queued."""
        framing = self._framing
        if framing is Framing.CHUNKED:
            if data:
                self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        elif framing is not Framing.NONE:
            self._out.append(data)

    def flush(self) -> None:
        if self._out and not self.gone:
            self._wire.write(b"".join(self._out))
        self._out.clear()

    def finish(self, trailers: Iterable[Field] = ()) -> None:
        """End the reply. `trailers` travel only where the reply is chunked."""
        if self._framing is Framing.CHUNKED:
            self._out.append(b"0\r\n")
            for name, value in trailers:
                self._out += (name, b": ", value, b"\r\n")
            self._out.append(b"\r\n")
        self.flush()
        self.complete = True
        self._buffer.clear()
        # The sink knows this exchange: letting go here ends the cycle, and with it most work of the garbage collector.
        self._sink = None
        self._wire.exchange_complete(self)

    def abort(self) -> None:
        """Cut the reply short so that the client cannot take it for a whole one.

        Whoever answers hears that the client has gone: what still came of the reply would meet a closed connection.
        """
        if self.complete:
            return
        self.flush()
        self.complete = True
        # A body that ends with the connection can only be cut short by a reset.
        self._wire.abandon(reset=self._framing is Framing.UNTIL_CLOSE)
        self.client_gone()
        self._sink = None

    def answer(self, status: int, reason: bytes, fields: Iterable[Field], body: bytes) -> None:
        """Send a whole reply of our own."""
        bodiless = status in (204, 304)
        pieces: list[bytes] = []
        for name, value in fields:
            pieces += (name, b": ", value, b"\r\n")
        # Legacy's HEAD tells no length either. Source: RFC 9110 §8.6 allows both.
        bodiless = bodiless or self.head.method == "HEAD"
        if not bodiless:
            pieces.append(b"content-length: %d\r\n" % len(body))
        self.start(status, reason, pieces, Framing.NONE if bodiless else Framing.SIZED)
        self.write(body)
        self.finish()

    # ---- upgrade

    def open_tunnel(self, reason: bytes, fields: Iterable[Field], deliver: Callable[[bytes], None]) -> None:
        """Relay a 101 and hand the connection over: what the client sends goes to `deliver`, raw."""
        self.started = True
        self.status = 101
        out = [b"HTTP/1.1 101 %b\r\n" % reason]
        for name, value in fields:
            out += (name, b": ", value, b"\r\n")
        out.append(b"\r\n")
        self.in_tunnel = True
        self._wire.write(b"".join(out))
        self._wire.open_tunnel(deliver)

    def tunnel_write(self, data: bytes) -> None:
        if not self.gone:
            self._wire.write(data)

    def tunnel_close(self) -> None:
        self.complete = True
        self._wire.close_tunnel()
