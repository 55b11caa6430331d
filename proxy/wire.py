"""The client's side of the wire: bytes in become exchanges, exchanges' bytes go out.

A subclass of uvicorn's httptools protocol that keeps what ASGI hides: the raw target, field order and spelling,
trailers, 1xx replies, upgrades, hang-ups. The only code that touches a client's transport. What it refuses, and why,
is docs/decisions/0004-wire.md.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from proxy import hop_headers
from proxy.asgi import EXTENSION, AsgiBridge
from proxy.exchange import Exchange
from proxy.request_rules import RejectedError, judge
from proxy.settings import Settings

# Behind a reply to a request that is still arriving: time for the client to read it, and the most in all.
LINGER_S = 5.0
LINGER_MOST_S = 30.0
QUEUE_LIMIT = 16  # pipelined requests; reading goes on below it, so that a client's departure is noticed
STALLED_BODY_S = 75.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
WRITE_BUFFER_LIMIT_BYTES = 65_536

NON_ASCII = re.compile(rb"[\x80-\xff]")
STATUS_REASONS = {
    400: b"Bad Request",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    505: b"HTTP Version Not Supported",
}

log = structlog.get_logger(__name__)


class Wire(HttpToolsProtocol):
    """One client connection. Requests are answered in order; at most one is in work, later ones queue."""

    settings: Settings  # set on the subclass that `for_settings` makes; uvicorn constructs the protocol itself

    @classmethod
    def for_settings(cls, settings: Settings) -> type[Wire]:
        return type("Wire", (cls,), {"settings": settings})

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._peer: str | None = None
        self._deadline: float | None = None
        self._in_head = False
        self._head_bytes = 0  # of the fields parsed so far
        self._fed_bytes = 0  # of this head, parsed or not
        self._raw_fields: list[tuple[bytes, bytes]] = []
        self._fields: dict[bytes, bytes] = {}
        self._trailers: list[tuple[bytes, bytes]] | None = None
        self._raw_target: bytes | None = None
        self._receiving: Exchange | None = None
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._holders: set[Exchange] = set()
        self._reading_paused = False
        self._rejected: RejectedError | None = None
        self._lingering = False
        self._linger_until = 0.0
        self._made_progress = False
        self._hung_up = False
        self._upgrading: Exchange | None = None
        self._leftover = b""
        self._tunnel: Callable[[bytes], None] | None = None
        self._renew_parser()

    def _renew_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        # A client may have pipelined behind `Connection: close`; those requests are dropped, not an error.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.connections.add(self)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if peer else None
        transport.set_write_buffer_limits(high=WRITE_BUFFER_LIMIT_BYTES)
        self._deadline = self.loop.time() + self.settings.client_idle_s

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self._deadline = None
        for exchange in (self._current, *self._queue):
            if exchange is not None and not exchange.complete:
                exchange.client_gone()
        self._queue.clear()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client has sent its last byte. It may have gone, or may only wait for the reply."""
        current = self._current
        if current is None or current.complete or self._lingering or self._tunnel is not None:
            if self._tunnel is not None and current is not None:
                current.client_gone()
            return False
        if not current.request_complete:
            self._reject(RejectedError(400, "the request ended before its body was complete"))
            return True
        self._hung_up = True
        self.loop.call_later(self.settings.half_close_grace_s, self._end_half_close)
        return True

    def _end_half_close(self) -> None:
        if not self.transport.is_closing():
            self._drop_exchanges()
            self.transport.close()

    def _drop_exchanges(self) -> None:
        for exchange in (self._current, *self._queue):
            if exchange is not None and not exchange.complete:
                exchange.client_gone()
        self._queue.clear()

    def tick(self, now: float) -> None:
        """Called twice a second by the server: close what has waited too long."""
        if self._deadline is None or now < self._deadline:
            return
        self._deadline = None
        if self._lingering and self.transport.get_write_buffer_size() and now < self._linger_until:
            self._deadline = now + LINGER_S  # it is still reading; the time starts when it has all
        elif self._lingering:
            self.transport.abort()
        elif not (self._in_head or self._receiving):
            self.transport.close()
        elif self._in_head:
            self._reject(RejectedError(408, "the request head did not arrive in time"))
        else:
            self._reject(RejectedError(408, "the request body stopped arriving"))

    def shutdown(self) -> None:
        """The server stops: idle connections and streams end now, a reply that is due may still come."""
        current = self._current
        if current is None or current.complete:
            self.transport.close()
        elif self._tunnel is not None or current.streams:
            current.abort()
        else:
            current.keep_alive = False

    # ---- bytes in

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel(data)
        elif self._upgrading is not None:
            self._keep_for_tunnel(self._upgrading, data)
        elif not self._lingering and self._rejected is None:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        if not self._in_head and self._receiving is None and not data.isascii():
            data = self._escape_target(data)
        self._made_progress = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._after_upgrade_request(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, RejectedError):
                raise
            self._reject(error.__context__)
        except httptools.HttpParserError as error:
            self._reject(RejectedError(400, f"malformed HTTP request: {error}"))
        else:
            if self._in_head:
                self._await_rest_of_head(len(data))
            elif self._receiving is not None:
                self._await_rest_of_body(len(data))

    def _await_rest_of_body(self, received: int) -> None:
        self._deadline = self.loop.time() + STALLED_BODY_S
        self._fed_bytes = 0 if self._made_progress else self._fed_bytes + received
        if self._fed_bytes > self.settings.header_bytes_limit:
            self._reject(RejectedError(400, "chunk extensions or trailers without end"))

    def _await_rest_of_head(self, received: int) -> None:
        self._fed_bytes += received
        if self._fed_bytes > self.settings.header_bytes_limit:
            self._reject(self._head_too_large())
        elif self._deadline is None and self._current is None:
            self._deadline = self.loop.time() + self.settings.header_deadline_s

    def _head_too_large(self) -> RejectedError:
        limit = self.settings.header_bytes_limit
        return RejectedError(431, f"request line and header fields are over {limit} bytes together")

    def _escape_target(self, data: bytes) -> bytes:
        """Percent-encode raw non-ASCII bytes of the request line, which curl sends and the parser refuses.

        The raw target is kept for forwarding. Only a request line that arrives in one piece is handled.
        """
        start = len(data) - len(data.lstrip(b"\r\n"))
        end = data.find(b"\r\n", start)
        line = data[start:end]
        if end < 0 or line.isascii():
            return data
        method, _, rest = line.partition(b" ")
        target, _, version = rest.rpartition(b" ")
        self._raw_target = target
        escaped = NON_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], target)
        return b"%b%b %b %b%b" % (data[:start], method, escaped, version, data[end:])

    # ---- parser callbacks

    def on_message_begin(self) -> None:
        self._in_head = True
        self._deadline = None
        self._head_bytes = 0
        self._fed_bytes = 0
        self.url = b""
        self._raw_fields = []
        self._fields = {}
        self._trailers = None

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.settings.header_bytes_limit:
            raise RejectedError(414, f"request target is over {self.settings.header_bytes_limit} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        value = value.strip(b" \t")
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes + len(self.url) > self.settings.header_bytes_limit:
            raise self._head_too_large()
        if self._trailers is not None:
            self._trailers.append((name, value))
            return
        lower, _ = hop_headers.classify(name)
        fields = self._fields
        if lower in fields:
            if lower == b"host":
                raise RejectedError(400, "more than one Host field")
            fields[lower] += b", " + value
        else:
            fields[lower] = value
        self._raw_fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._deadline = None
        parser = self.parser
        target = self.url if self._raw_target is None else self._raw_target
        self._raw_target = None
        method, version = parser.get_method().decode("ascii"), parser.get_http_version()
        request = judge(method, target, version, self._raw_fields, self._fields, self._peer)
        self._receiving = exchange = Exchange(self, request)
        self._trailers = []
        self._head_bytes = 0
        self._fed_bytes = 0
        if self._current is None:
            self._start(exchange)
            return
        self._queue.append(exchange)
        if len(self._queue) >= QUEUE_LIMIT:
            self.hold_reading(exchange)

    def on_body(self, body: bytes) -> None:
        self._made_progress = True
        if self._receiving is not None:
            self._receiving.feed(body)

    def on_message_complete(self) -> None:
        exchange, self._receiving = self._receiving, None
        if exchange is not None:
            self._deadline = None
            exchange.feed_end(hop_headers.allowed_trailers(self._trailers or ()))

    def _after_upgrade_request(self, rest: bytes) -> None:
        """The parser stops behind a request that offers an upgrade; whether it is taken is legacy's word."""
        exchange = self._queue[-1] if self._queue else self._current
        if exchange is not None and exchange.wants_upgrade:
            self._upgrading = exchange
            self._keep_for_tunnel(exchange, rest)
            return
        self._renew_parser()
        if rest:
            self.data_received(rest)

    def _keep_for_tunnel(self, exchange: Exchange, data: bytes) -> None:
        self._leftover += data
        if len(self._leftover) > WRITE_BUFFER_LIMIT_BYTES:
            self.hold_reading(exchange)

    # ---- exchanges in order

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        task = self.loop.create_task(self._run(exchange))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, exchange: Exchange) -> None:
        head = exchange.head
        bridge = AsgiBridge(exchange)
        path, _, query = head.target.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method,
            "scheme": "http",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": head.raw_fields,
            "client": (self._peer, 0),
            "server": None,
            "state": self.app_state,
            "extensions": {EXTENSION: exchange},
        }
        try:
            await self.app(scope, bridge.receive, bridge.send)
        finally:
            # Nothing leaves a client waiting: what was not answered by now is cut.
            if not (exchange.complete or exchange.gone):
                exchange.abort()

    def exchange_complete(self, exchange: Exchange) -> None:
        self.server_state.total_requests += 1
        self._holders.discard(exchange)
        self._current = None
        if self.transport.is_closing():
            return
        if not exchange.keep_alive:
            if exchange.request_complete:
                self.transport.close()
            else:
                self._linger()
            return
        if self._queue:
            following = self._queue.popleft()
            self._holders.discard(following)
            self._update_reading()
            self._start(following)
            return
        self._update_reading()
        if self._rejected is not None:
            self._refuse(self._rejected)
        elif self._hung_up:
            self.transport.close()
        elif exchange is self._upgrading:
            self._upgrading, rest, self._leftover = None, self._leftover, b""
            self._renew_parser()
            self._await_next(self.settings.client_idle_s)
            if rest:
                self.data_received(rest)
        else:
            self._await_next(self.settings.header_deadline_s if self._in_head else self.settings.client_idle_s)

    def _await_next(self, within_s: float) -> None:
        self._deadline = self.loop.time() + within_s

    # ---- bytes out

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        if self._current is not None:
            self._current.client_paused(True)

    def resume_writing(self) -> None:
        if self._current is not None:
            self._current.client_paused(False)

    def abandon(self, *, reset: bool) -> None:
        """Close in the middle of a reply; by a reset where a plain end would look like success."""
        if reset:
            client = self.transport.get_extra_info("socket")
            if client is not None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.transport.abort()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Send our end, discard what still arrives: closing at once would reset the reply away. RFC 9112 §9.6."""
        self._lingering = True
        self._receiving = None
        self._deadline = self.loop.time() + LINGER_S
        self._linger_until = self.loop.time() + LINGER_MOST_S
        self._holders.clear()
        self._update_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _reject(self, rejected: RejectedError) -> None:
        self._in_head = False
        current = self._current
        if current is None:
            self._refuse(rejected)
        elif self._receiving is current:
            # Its own body is the fault: legacy must not take the part for the whole.
            current.client_gone()
            self._queue.clear()
            self._current = None
            if current.started:
                self.transport.close()
            else:
                self._refuse(rejected)
        else:
            self._rejected = rejected  # answered after the requests before it

    def _refuse(self, rejected: RejectedError) -> None:
        body = json.dumps({"error": rejected.error, "code": "bad_request"}).encode()
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nx-signet-served-by: native\r\n"
            b"x-signet-proxy-error: bad_request\r\nconnection: close\r\n\r\n%b"
            % (rejected.status, STATUS_REASONS[rejected.status], len(body), body)
        )
        self._linger()

    # ---- back-pressure on the client

    def hold_reading(self, exchange: Exchange) -> None:
        self._holders.add(exchange)
        self._update_reading()

    def release_reading(self, exchange: Exchange) -> None:
        self._holders.discard(exchange)
        self._update_reading()

    def _update_reading(self) -> None:
        wanted = bool(self._holders)
        if wanted == self._reading_paused or self.transport.is_closing():
            return
        self._reading_paused = wanted
        if wanted:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    # ---- tunnels

    def open_tunnel(self, deliver: Callable[[bytes], None]) -> None:
        self._tunnel = deliver
        self._deadline = None
        self._upgrading = None
        self._holders.clear()
        self._update_reading()
        if self._leftover:
            deliver(self._leftover)
            self._leftover = b""

    def close_tunnel(self) -> None:
        self.transport.close()
