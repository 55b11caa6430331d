"""One exchange between its two connections: bytes, pace and endings passed on, both directions at once."""

from __future__ import annotations

import asyncio

from proxy import hop_headers
from proxy.exchange import Exchange, Field, Framing
from proxy.field_lines import Terms, reply_pieces, request_head
from proxy.upstream import UpstreamConnection, UpstreamError


class Relay:
    """Passes one request to one upstream connection and its reply back. `done` resolves to None or an error."""

    def __init__(self, exchange: Exchange, terms: Terms) -> None:
        self.exchange = exchange
        self.head_only = exchange.head.method == "HEAD"
        self.wants_upgrade = exchange.wants_upgrade
        self.done: asyncio.Future[UpstreamError | None] = exchange.loop.create_future()
        self._terms = terms
        self._connection: UpstreamConnection | None = None
        self._chunked = b"transfer-encoding" in exchange.head.fields
        self._copy = terms.copy
        self._held_reply: _HeldReply | None = None
        self._ended = False

    def go(self, connection: UpstreamConnection) -> None:
        """Send the request on `connection`, the body as far as it is there, the rest as it arrives."""
        self._connection = connection
        connection.begin(self, request_head(self.exchange, self._terms))
        self.exchange.attach(self)

    # ---- from the client

    def feed(self, data: bytes) -> None:
        if self._copy is not None:
            self._copy.asked(data)
        if self._connection is not None and not self._ended:
            self._connection.send(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, trailers: list[Field]) -> None:
        if self._connection is None or self._ended:
            return
        if self._chunked:
            lines = b"".join(b"%b: %b\r\n" % field for field in trailers)
            self._connection.send(b"0\r\n%b\r\n" % lines)
        self._connection.request_sent()

    def client_gone(self) -> None:
        self._finish(None)

    def pause_reply(self) -> None:
        if self._connection is not None and not self._ended:
            self._connection.pause_reply()

    def resume_reply(self) -> None:
        if self._connection is not None and not self._ended:
            self._connection.resume_reply()

    # ---- from legacy

    def interim(self, status: int, reason: bytes, fields: list[Field]) -> None:
        self.exchange.interim(status, reason, [f for f in fields if not hop_headers.classify(f[0])[1]])

    def reply_head(self, status: int, reason: bytes, fields: list[Field], framing: Framing) -> None:
        self.exchange.answered_by = "legacy"
        if self._copy is not None:
            self._copy.head(status, fields)
        if self._terms.rewrite is not None and framing is Framing.SIZED and status == 200:
            self._held_reply = _HeldReply(status, reason, fields)
            return
        pieces = reply_pieces(fields, self._terms.grant, keeps_length=status != 204)
        self.exchange.start(status, reason, pieces, framing)

    def reply_body(self, data: bytes) -> None:
        if self._copy is not None:
            self._copy.answered(data)
        if self._held_reply is None:
            self.exchange.write(data)
        else:
            self._held_reply.body += data

    def reply_end(self, trailers: list[Field]) -> None:
        if self._held_reply is not None:
            self._held_reply.send(self.exchange, self._terms)
        self._ended = True
        if self._connection is not None and not self.exchange.request_complete:
            # Legacy has answered without the rest of the body: nobody will read it.
            self._connection.close()
        self._connection = None
        self.exchange.finish(hop_headers.allowed_trailers(trailers))
        if self._copy is not None:
            self._copy.end()  # after the client has its reply
        self._resolve(None)

    def reply_flush(self) -> None:
        self.exchange.flush()

    def pause_request(self) -> None:
        self.exchange.hold_request()

    def resume_request(self) -> None:
        self.exchange.release_request()

    def switched(self, reason: bytes, fields: list[Field], rest: bytes) -> None:
        connection = self._connection
        assert connection is not None
        fields = [*fields, (b"x-signet-served-by", b"legacy")]
        self.exchange.open_tunnel(reason, fields, connection.send)
        if rest:
            self.exchange.tunnel_write(rest)

    def tunnelled(self, data: bytes) -> None:
        self.exchange.tunnel_write(data)

    def lost(self, error: UpstreamError) -> None:
        self._ended = True
        self._connection = None
        if self.exchange.in_tunnel:
            self.exchange.tunnel_close()
            self._resolve(None)
        else:
            self._resolve(error)

    # ---- endings

    def fail(self, error: UpstreamError) -> None:
        """Give the exchange up from outside: legacy hangs, or the server stops."""
        if not self._ended:
            self._finish(error)

    def _finish(self, error: UpstreamError | None) -> None:
        self._ended = True
        connection, self._connection = self._connection, None
        if connection is not None:
            # The last bytes of a tunnel are legacy's too; a request that nobody waits for is not.
            connection.close(after_writes=self.exchange.in_tunnel and error is None)
        self._resolve(error)

    def _resolve(self, error: UpstreamError | None) -> None:
        if not self.done.done():
            self.done.set_result(error)


class _HeldReply:
    """A reply that is passed on only when its body is whole, because the body is rewritten."""

    def __init__(self, status: int, reason: bytes, fields: list[Field]) -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = bytearray()

    def send(self, exchange: Exchange, terms: Terms) -> None:
        assert terms.rewrite is not None
        encoded = any(name.lower() == b"content-encoding" for name, _ in self.fields)
        body = bytes(self.body) if encoded else terms.rewrite(bytes(self.body))
        length = b"%d" % len(body)
        fields = [(n, length if n.lower() == b"content-length" else v) for n, v in self.fields]
        exchange.start(self.status, self.reason, reply_pieces(fields, terms.grant), Framing.SIZED)
        exchange.write(body)
