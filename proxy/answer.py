"""Who answers: a native handler, or legacy. One screen, because this is the decision the whole project is about."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from native_routes.declaration import Claims, Route, RouteGroup
from native_routes.reply import UNCAUGHT, Refusal, Stream
from proxy.caps import EXEMPT
from proxy.cutover import Mode
from proxy.exchange import BodyTooLargeError, Exchange
from proxy.field_lines import Terms
from proxy.forward import Failure, Forwarder, send_failure
from proxy.legacy.stand_in import is_served
from proxy.match import Match
from proxy.native_run import BODY_LIMIT_BYTES, SAFE_METHODS, DatabaseFault, Late, Left, Raised, run_handler
from proxy.override import FIELD
from proxy.reply_writer import send_reply, send_stream
from proxy.services import Services
from proxy.shadow import Shadow
from proxy.status_rewrite import Rewrite, with_status_rewrite

SHOWS_PROCESS = frozenset({"/health", "/api/status"})  # pid, port and address of whoever answers
ONEPASSWORD = "onepassword"

log = structlog.get_logger(__name__)


class Answerer:
    """Answers one admitted exchange by the effective mode of its group."""

    def __init__(
        self,
        services: Services,
        forwarder: Forwarder,
        shadow: Shadow,
        *,
        rewrite_status: Rewrite,
        own_token: Callable[[], str | None],
    ) -> None:
        self._services = services
        self._cutover = services.cutover
        self._forwarder = forwarder
        self._shadow = shadow
        self._rewrite_status = rewrite_status
        self._own_token = own_token
        self._mcp_limit = services.settings.mcp_in_flight_limit
        self._mcp_in_flight = 0

    async def answer(
        self, exchange: Exchange, match: Match, claims: Claims | None, terms: Terms, *, local: bool
    ) -> None:
        override = exchange.head.fields.get(FIELD)
        if self._cutover.answers_natively(match.group, override, local=local):
            await self._natively(exchange, match, claims, terms)
        elif match.path == "/mcp":
            await self._mcp(exchange, terms)
        else:
            terms = self._process_terms(match, claims, terms)
            if match.group is not None and override is None and self._cutover.mode(match.group.name) is Mode.SHADOW:
                terms = await self._shadow.watch(exchange, match, claims, terms)
            if match.group is not None and match.group.name == ONEPASSWORD and exchange.head.method not in SAFE_METHODS:
                await self._forward_alone(exchange, terms)
            else:
                await self._forward(exchange, terms)

    async def _forward_alone(self, exchange: Exchange, terms: Terms) -> None:
        """While nobody else writes the file of secrets: legacy writes it now. Raises Refusal, ClientGoneError."""
        try:
            await exchange.read_body(BODY_LIMIT_BYTES)  # stays buffered; who sends slowly must not hold the others up
        except BodyTooLargeError:
            raise Refusal(413, f"the request body is over {BODY_LIMIT_BYTES} bytes") from None
        async with self._services.secrets_lock:
            await self._forward(exchange, terms)

    async def _forward(self, exchange: Exchange, terms: Terms) -> None:
        try:
            await self._forwarder.forward(exchange, terms)
        finally:
            if terms.copy is not None:
                terms.copy.give_up()  # of a reply that did not come whole

    def _process_terms(self, match: Match, claims: Claims | None, terms: Terms) -> Terms:
        if match.path not in SHOWS_PROCESS:
            return terms
        public = match.route is not None and match.route.public
        token = self._own_token() if public and claims is None else None
        return with_status_rewrite(terms, self._rewrite_status, token)

    async def _natively(self, exchange: Exchange, match: Match, claims: Claims | None, terms: Terms) -> None:
        assert match.group is not None
        exchange.answered_by = "native"
        within_s = self._services.settings.native_deadline_s
        outcome = await run_handler(exchange, match, claims, self._services, within_s)
        if isinstance(outcome, Raised):
            await self._after_raising(exchange, match, claims, terms, outcome)
        elif isinstance(outcome, Late):
            self._note(match.group, "late", exchange, f"no answer within {outcome.within_s:g} s")
            unknown = "; whether the request took effect is unknown" if outcome.may_have_effect else ""
            error = f"the native answer took longer than {outcome.within_s:g} s{unknown}"
            send_failure(exchange, Failure(504, "native_deadline", error), terms.grant)
        elif isinstance(outcome, DatabaseFault):
            kind = type(outcome.error).__name__
            self._note(match.group, f"database: {kind}", exchange, str(outcome.error))
            send_reply(exchange, UNCAUGHT, terms.grant)
        elif isinstance(outcome, Left):
            exchange.answered_by = "proxy"
            await self._forward(exchange, self._process_terms(match, claims, terms))
        elif isinstance(outcome, Stream):
            await send_stream(exchange, outcome, terms.grant)
        else:
            send_reply(exchange, outcome, terms.grant)

    async def _after_raising(
        self, exchange: Exchange, match: Match, claims: Claims | None, terms: Terms, fault: Raised
    ) -> None:
        """A bug: the set goes back to legacy, and so does this request where nothing of it has taken effect."""
        group = match.group
        assert group is not None
        self._note(group, "raised", exchange, fault.place, fault.error)
        if group.name not in EXEMPT and not self._cutover.is_frozen(group.name):
            await self._cutover.freeze([group.name], f"native answer to {_route(match)} raised {fault.place}")
        if fault.may_replay and self._legacy_can(match.route):
            exchange.answered_by = "proxy"
            await self._forwarder.forward(exchange, self._process_terms(match, claims, terms))
        else:
            send_reply(exchange, UNCAUGHT, terms.grant)

    def _legacy_can(self, route: Route | None) -> bool:
        legacy = self._services.legacy
        return route is not None and legacy.accepts() and is_served(route, legacy.status)

    def _note(
        self, group: RouteGroup, what: str, exchange: Exchange, why: str, error: BaseException | None = None
    ) -> None:
        self._services.tally.faults[group.name, what] += 1
        target = exchange.head.target.partition(b"?")[0].decode("latin-1")
        log.error(
            "native_fault", group=group.name, what=what, method=exchange.head.method, target=target, why=why,
            exc_info=error,
        )  # fmt: skip

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


def _route(match: Match) -> str:
    return "?" if match.route is None else f"{match.route.method} {match.route.path}"
