"""Forwarding an exchange to legacy: on which connection, whether it may go out again, and what a client is told when
it could not. The streaming itself is `relay.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from proxy.exchange import Exchange, Field
from proxy.field_lines import ANY_ORIGIN, PLAIN_TERMS, Terms
from proxy.head import Head
from proxy.legacy.status import Legacy, LegacyState, LegacyStatus
from proxy.relay import Relay
from proxy.settings import Settings
from proxy.upstream import ConnectError, ConnectionLostError, Pool, UpstreamConnection, UpstreamError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
RETRIED_METHODS = frozenset({"GET", "HEAD"})
EXPECT_WAIT_S = 1.0
RECONNECT_S = 0.05

log = structlog.get_logger(__name__)


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
        """Legacy takes no requests now. READY then means that its boot is not trusted yet, or that we are stopping."""
        status = self._legacy.status
        state = LegacyState.STARTING if status.state is LegacyState.READY else status.state
        why = f": {status.reason}" if status.reason else ""
        return Failure(503, f"legacy_{state.value}", f"the legacy daemon is {state.value}{why}", 1)

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
