"""Who answers: a native handler, or legacy. One screen, because this is the decision the whole project is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from native_routes.declaration import Claims, NativeRequest
from native_routes.reply import Refusal, Reply
from proxy.cutover import Cutover
from proxy.exchange import BodyTooLargeError, Exchange
from proxy.field_lines import Terms
from proxy.forward import Failure, Forwarder, send_failure
from proxy.match import Match
from proxy.reply_writer import send_reply
from proxy.status_rewrite import Rewrite, with_status_rewrite

SHOWS_PROCESS = frozenset({"/health", "/api/status"})  # pid, port and address of whoever answers
NATIVE_BODY_LIMIT_BYTES = 100 * 1024 * 1024


class Answerer:
    """Answers one admitted exchange by the effective mode of its group."""

    def __init__(
        self,
        cutover: Cutover,
        forwarder: Forwarder,
        context: Any,
        *,
        rewrite_status: Rewrite,
        own_token: Callable[[], str | None],
        mcp_limit: int,
    ) -> None:
        self._cutover = cutover
        self._rewrite_status = rewrite_status
        self._own_token = own_token
        self._forwarder = forwarder
        self._context = context
        self._mcp_limit = mcp_limit
        self._mcp_in_flight = 0

    async def answer(
        self, exchange: Exchange, match: Match, claims: Claims | None, terms: Terms, *, local: bool
    ) -> None:
        override = exchange.head.fields.get(b"x-signet-route")
        if self._cutover.answers_natively(match.group, override, local=local):
            await self._natively(exchange, match, claims, terms)
        elif match.path == "/mcp":
            await self._mcp(exchange, terms)
        elif match.path in SHOWS_PROCESS:
            public = match.route is not None and match.route.public
            token = self._own_token() if public and claims is None else None
            await self._forwarder.forward(exchange, with_status_rewrite(terms, self._rewrite_status, token))
        else:
            await self._forwarder.forward(exchange, terms)

    async def _natively(self, exchange: Exchange, match: Match, claims: Claims | None, terms: Terms) -> None:
        assert match.route is not None
        assert match.route.handler is not None
        request = NativeRequest(
            head=exchange.head,
            path=match.path,
            params=match.params,
            query=exchange.head.target.partition(b"?")[2].decode("latin-1"),
            claims=claims,
            body=lambda: exchange.read_body(NATIVE_BODY_LIMIT_BYTES),
            context=self._context,
        )
        exchange.answered_by = "native"
        reply: Reply
        try:
            reply = await match.route.handler(request)
        except Refusal as refusal:
            reply = refusal.reply()
        except BodyTooLargeError:
            reply = Refusal(413, f"the request body is over {NATIVE_BODY_LIMIT_BYTES} bytes").reply()
        send_reply(exchange, reply, terms.grant)

    async def _mcp(self, exchange: Exchange, terms: Terms) -> None:
        """Forward to /mcp, whose tools call this port again: without a cap, few clients could exhaust both sides."""
        if self._mcp_in_flight >= self._mcp_limit:
            error = f"{self._mcp_limit} exchanges on /mcp are under way; try again"
            send_failure(exchange, Failure(503, "mcp_busy", error, 1), terms.grant)
            return
        self._mcp_in_flight += 1
        try:
            await self._forwarder.forward(exchange, terms)
        finally:
            self._mcp_in_flight -= 1
