"""One exchange streamed to legacy and back, byte for byte, both directions at once.

`Relay` sits between the two connections and does nothing but pass on: bytes, pace, endings. `Forwarder` decides
which connection a request goes out on, whether it may go out again, and what a client is told when it could not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from proxy import hop_headers
from proxy.exchange import Exchange, Field, Framing
from proxy.head import Head
from proxy.legacy.status import Legacy, LegacyState, LegacyStatus
from proxy.settings import Settings
from proxy.upstream import (
    ConnectError,
    ConnectionLostError,
    Pool,
    UpstreamConnection,
    UpstreamError,
)

SERVED_BY_LEGACY = b"x-signet-served-by: legacy\r\n"
ALLOW_ORIGIN = b"access-control-allow-origin"
CORS_FIELDS = frozenset({ALLOW_ORIGIN, b"access-control-allow-credentials", b"access-control-expose-headers"})
OUR_MARKS = frozenset({b"x-signet-served-by", b"x-signet-proxy-error"})  # only we say who answered
ANY_ORIGIN: tuple[Field, ...] = ((ALLOW_ORIGIN, b"*"),)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
RETRIED_METHODS = frozenset({"GET", "HEAD"})
EXPECT_WAIT_S = 1.0
RECONNECT_S = 0.05

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the edge decided about one request: how it is sent on, and what its reply may grant."""

    drop: frozenset[bytes] = frozenset()  # lower-case request fields that stay here
    add: tuple[Field, ...] = ()
    grant: tuple[Field, ...] = ANY_ORIGIN  # CORS fields of the reply, instead of legacy's
    rewrite: Callable[[bytes], bytes] | None = None  # applied to a whole JSON reply body


PLAIN_TERMS = Terms()


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
        self._held_reply: _HeldReply | None = None
        self._ended = False

    def go(self, connection: UpstreamConnection) -> None:
        """Send the request on `connection`, the body as far as it is there, the rest as it arrives."""
        self._connection = connection
        connection.begin(self, request_head(self.exchange, self._terms))
        self.exchange.attach(self)

    # ---- from the client

    def feed(self, data: bytes) -> None:
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
        if self._terms.rewrite is not None and framing is Framing.SIZED and status == 200:
            self._held_reply = _HeldReply(status, reason, fields)
            return
        pieces = reply_pieces(fields, self._terms.grant, keeps_length=status != 204)
        self.exchange.start(status, reason, pieces, framing)

    def reply_body(self, data: bytes) -> None:
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
            connection.close()
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


def request_head(exchange: Exchange, terms: Terms) -> bytes:
    """The request line and fields as legacy gets them: the client's, in order, less what ends at this hop."""
    head = exchange.head
    fields = head.fields
    named = hop_headers.named_by_connection(fields.get(b"connection"))
    drop = terms.drop
    pieces = [head.method.encode("ascii"), b" ", head.target, b" HTTP/1.1\r\n"]
    if b"host" not in fields:
        pieces.append(b"host: 127.0.0.1\r\n")  # an HTTP/1.0 client; legacy takes it the same way
    http_1_0 = head.version == "1.0"
    for name, value in head.raw_fields:
        lower, ends_here = hop_headers.classify(name)
        if ends_here or lower in drop or (named and lower in named) or (http_1_0 and lower == b"expect"):
            continue
        pieces += (name, b": ", value, b"\r\n")
    for name, value in terms.add:
        pieces += (name, b": ", value, b"\r\n")
    if b"transfer-encoding" in fields:
        pieces.append(b"transfer-encoding: chunked\r\n")
    if exchange.wants_upgrade:
        pieces += (b"connection: Upgrade\r\nupgrade: ", fields[b"upgrade"], b"\r\n")
    pieces.append(b"\r\n")
    return b"".join(pieces)


def reply_pieces(fields: list[Field], grant: tuple[Field, ...], *, keeps_length: bool = True) -> list[bytes]:
    """Legacy's reply fields as lines, less what ends at this hop, with our CORS grant and our mark."""
    named: frozenset[bytes] | None = None
    replaces_cors = grant is not ANY_ORIGIN and grant != ANY_ORIGIN
    pieces: list[bytes] = []
    for name, value in fields:
        lower, ends_here = hop_headers.classify(name)
        if ends_here:
            if lower == b"connection":
                named = (named or frozenset()) | hop_headers.named_by_connection(value)
            continue
        if lower in OUR_MARKS or (replaces_cors and lower in CORS_FIELDS):
            continue
        if not keeps_length and lower == b"content-length":
            continue
        pieces += (name, b": ", value, b"\r\n")
    if named and not named <= _USUAL_OPTIONS:
        pieces = _without(pieces, named)
    if replaces_cors:
        for name, value in grant:
            pieces += (name, b": ", value, b"\r\n")
    pieces.append(SERVED_BY_LEGACY)
    return pieces


_USUAL_OPTIONS = frozenset({b"close", b"keep-alive"})


def _without(pieces: list[bytes], named: frozenset[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for i in range(0, len(pieces), 4):
        lower = pieces[i].lower()
        if lower not in named or lower in hop_headers.END_TO_END:
            kept += pieces[i : i + 4]
    return kept


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told when legacy could not answer. `code` is for programs, `error` for people."""

    status: int
    code: str
    error: str
    retry_after_s: int | None = None


class Forwarder:
    """Sends exchanges to legacy. One for the whole process."""

    def __init__(self, settings: Settings, legacy: Legacy, loop: asyncio.AbstractEventLoop) -> None:
        self._settings = settings
        self._legacy = legacy
        self.pool = Pool(loop, idle_s=settings.upstream_idle_s, connect_timeout_s=settings.upstream_connect_timeout_s)
        self._relays: set[Relay] = set()
        legacy.subscribe(self._legacy_changed)

    def _legacy_changed(self, status: LegacyStatus) -> None:
        if status.state is LegacyState.WEDGED:
            # A hung legacy keeps its connections open for ever. Replies under way may still move; the rest is told.
            for relay in tuple(self._relays):
                if not relay.exchange.started:
                    relay.fail(_Hung("legacy does not answer"))

    async def forward(self, exchange: Exchange, terms: Terms = PLAIN_TERMS) -> None:
        """Answer `exchange` with legacy's reply, or say why there is none."""
        failure = None if self._legacy.accepts() else await self._await_legacy(exchange)
        if failure is None:
            failure = await self._attempt(exchange, terms)
        if failure is None or exchange.gone:
            return
        if exchange.started:
            log.warning("reply_cut_short", target=_shown(exchange.head), reason=failure.error)
            exchange.abort()
        else:
            log.warning("forward_failed", target=_shown(exchange.head), code=failure.code, reason=failure.error)
            send_failure(exchange, failure, terms.grant)

    async def _await_legacy(self, exchange: Exchange) -> Failure | None:
        """Let a request that changes nothing wait for a restarting legacy; the reason why it cannot go on, or None."""
        legacy = self._legacy
        if legacy.status.state is not LegacyState.WEDGED and exchange.head.method in SAFE_METHODS:
            gone = asyncio.ensure_future(exchange.wait_gone())
            ready = asyncio.ensure_future(legacy.wait_accepting(self._settings.restart_wait_s))
            await asyncio.wait((gone, ready), return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            if ready.done() and ready.result():
                return None
            ready.cancel()
        return self._unavailable()

    def _unavailable(self) -> Failure:
        status = self._legacy.status
        return Failure(
            503, f"legacy_{status.state.value}", f"the legacy daemon is {status.state.value}: {status.reason}", 1
        )

    async def _attempt(self, exchange: Exchange, terms: Terms) -> Failure | None:
        self.pool.set_address(self._legacy.address)
        connection = self.pool.take_idle()
        if connection is not None:
            error = await self._relay(exchange, terms, connection)
            if error is None:
                return None
            if not self._may_repeat(exchange, error):
                return self._explain(exchange, error)
        fresh = await self._connect(exchange)
        if isinstance(fresh, Failure):
            return fresh
        error = await self._relay(exchange, terms, fresh)
        return None if error is None else self._explain(exchange, error)

    async def _connect(self, exchange: Exchange) -> UpstreamConnection | Failure:
        """A fresh connection. Nothing was sent yet, so a request that changes nothing outlasts a restart here.

        Our own child may be dead for some milliseconds before its supervisor knows.
        """
        loop, legacy = exchange.loop, self._legacy
        waits = legacy.status.kind != "attached" and exchange.head.method in SAFE_METHODS
        give_up_at = loop.time() + self._settings.restart_wait_s
        while True:
            try:
                return await self.pool.connect()
            except ConnectError as error:
                legacy.note_failure()
                if not waits or exchange.gone or loop.time() > give_up_at:
                    return Failure(503, "legacy_unreachable", str(error), 1)
            await asyncio.sleep(RECONNECT_S)
            failure = None if legacy.accepts() else await self._await_legacy(exchange)
            if failure is not None:
                return failure
            self.pool.set_address(legacy.address)

    async def _relay(self, exchange: Exchange, terms: Terms, connection: UpstreamConnection) -> UpstreamError | None:
        if exchange.gone:
            connection.close()
            return None
        relay = Relay(exchange, terms)
        self._relays.add(relay)
        timer = None
        if exchange.awaits_continue:
            # Legacy may never ask for the body; a client that waits for it must not wait for ever.
            timer = exchange.loop.call_later(EXPECT_WAIT_S, exchange.send_continue)
        try:
            relay.go(connection)
            return await relay.done
        except asyncio.CancelledError:
            relay.fail(UpstreamError("the proxy is stopping"))
            raise
        finally:
            self._relays.discard(relay)
            if timer is not None:
                timer.cancel()

    def _may_repeat(self, exchange: Exchange, error: UpstreamError) -> bool:
        """Only where legacy closed an idle connection under a request that changes nothing and has no body."""
        return (
            isinstance(error, ConnectionLostError)
            and not error.replied
            and not exchange.has_body
            and exchange.head.method in RETRIED_METHODS
        )

    def _explain(self, exchange: Exchange, error: UpstreamError) -> Failure:
        self._legacy.note_failure()
        unsafe = exchange.head.method not in SAFE_METHODS
        note = "; whether the request took effect is unknown" if unsafe else ""
        if isinstance(error, _Hung):
            return Failure(504, "legacy_wedged", f"{error}{note}")
        code = "legacy_connection_lost" if isinstance(error, ConnectionLostError) else "legacy_bad_reply"
        return Failure(502, code, f"{error}{note}")

    def close(self) -> None:
        self.pool.close()


class _Hung(UpstreamError):
    pass


REASONS: Mapping[int, bytes] = {502: b"Bad Gateway", 503: b"Service Unavailable", 504: b"Gateway Timeout"}


def send_failure(exchange: Exchange, failure: Failure, grant: tuple[Field, ...] = ANY_ORIGIN) -> None:
    """Answer with a failure of the proxy's own, marked so that nobody takes it for legacy's."""
    exchange.failure_code = failure.code
    fields: list[Field] = [
        *grant,
        (b"content-type", b"application/json"),
        (b"x-signet-served-by", b"native"),
        (b"x-signet-proxy-error", failure.code.encode()),
    ]
    if failure.retry_after_s is not None:
        fields.append((b"retry-after", b"%d" % failure.retry_after_s))
    body = json.dumps({"error": failure.error, "code": failure.code}).encode()
    exchange.answer(failure.status, REASONS[failure.status], fields, body)


def _shown(head: Head) -> str:
    return f"{head.method} {head.target.partition(b'?')[0].decode('latin-1')}"
