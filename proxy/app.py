"""The way of every request: edge -> match -> admit -> answer; and the last `except Exception`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from native_routes.reply import UNCAUGHT, Refusal, Reply
from proxy import status
from proxy.admit import Admission
from proxy.answer import Answerer
from proxy.asgi import EXTENSION
from proxy.edge import Caller, Edge
from proxy.exchange import ClientGoneError, Exchange, Field
from proxy.field_lines import Terms
from proxy.forward import Forwarder
from proxy.match import Matcher
from proxy.reply_writer import send_reply
from proxy.services import Services

OWN_PREFIX = "/_proxy/"
PAGES_ARE_LOCAL = "the proxy's own pages are for callers on this machine and for admin tokens"
CHANGES_ARE_FOR_ADMINS = "changes of the proxy need an admin token from a caller that shows a token"
ANYWHERE: tuple[Field, ...] = ((b"access-control-allow-origin", b"*"),)

log = structlog.get_logger(__name__)


class FrontDoor:
    """Takes each exchange along the way. One for the whole process."""

    def __init__(
        self,
        services: Services,
        edge: Edge,
        matcher: Matcher,
        admission: Admission,
        answerer: Answerer,
        forwarder: Forwarder,
    ) -> None:
        self._services = services
        self._forwarder = forwarder
        self._edge = edge
        self._matcher = matcher
        self._admission = admission
        self._answerer = answerer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["extensions"][EXTENSION]
        counters = self._services.counters
        counters.began()
        began_at_s = time.perf_counter()
        try:
            await self._take(exchange)
        except ClientGoneError:
            pass
        except Exception:
            log.exception("unexpected_error", method=exchange.head.method, target=_path(exchange))
            self._fail(exchange)
        finally:
            counters.ended(exchange.answered_by, exchange.status or None, time.perf_counter() - began_at_s)
            counters.used(exchange, self._matcher, time.perf_counter() - began_at_s)
            if exchange.failure_code is not None:
                counters.failed(exchange.failure_code)

    async def _take(self, exchange: Exchange) -> None:
        head = exchange.head
        caller = self._edge.look(head)
        if isinstance(caller, Refusal):
            send_reply(exchange, caller.reply(), ())
        elif head.method == "OPTIONS":
            await self._options(exchange, caller)
        else:
            try:
                await self._admit(exchange, caller)
            except Refusal as refusal:
                send_reply(exchange, refusal.reply(), caller.grant)

    async def _options(self, exchange: Exchange, caller: Caller) -> None:
        """Preflights are ours. Legacy answers any other OPTIONS too, and without a token; it is asked in local mode."""
        head = exchange.head
        if b"access-control-request-method" in head.fields or self._edge.auth.mode != "local":
            send_reply(exchange, self._edge.preflight(head, caller), ())
        else:
            await self._forwarder.forward(exchange, _terms(caller))

    async def _admit(self, exchange: Exchange, caller: Caller) -> None:
        head = exchange.head
        match = self._matcher.match(head.method, head.target)
        refusal = self._admission.check(head, caller, match, self._edge.auth, time.time())
        if refusal is not None:
            raise refusal
        if match.path.startswith(OWN_PREFIX):
            send_reply(exchange, await self._own(exchange, match.path, caller), caller.grant)
        else:
            await self._answerer.answer(exchange, match, caller.claims, _terms(caller), local=caller.local)

    async def _own(self, exchange: Exchange, path: str, caller: Caller) -> Reply:
        is_admin = caller.claims is not None and caller.claims.role == "admin"
        reads = exchange.head.method in ("GET", "HEAD")
        # A caller that shows a token is held to it also on this machine: an agent's must not move the cutover.
        if not (is_admin or (caller.local and (reads or caller.claims is None))):
            raise Refusal(403, CHANGES_ARE_FOR_ADMINS if caller.local else PAGES_ARE_LOCAL)
        return await status.own_page(self._services, exchange.head.method, path, exchange.read_body)

    def _fail(self, exchange: Exchange) -> None:
        """What legacy answers when a handler throws; a reply under way is cut."""
        if exchange.started:
            exchange.abort()
        elif not exchange.gone:
            send_reply(exchange, UNCAUGHT, ANYWHERE)


def _terms(caller: Caller) -> Terms:
    return Terms(drop=caller.drop, add=caller.add, grant=caller.grant)


def _path(exchange: Exchange) -> str:
    return exchange.head.target.partition(b"?")[0].decode("latin-1")


Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


def application(front_door: FrontDoor, lifespan: Callable[[Any], AsyncIterator[None]] | Lifespan) -> ASGIApp:
    """The ASGI application: Starlette runs the lifespan; every request goes through the front door.

    Starlette's own routes are not used: replies must match another router's, down to its 404 (`match.py`).
    """
    return Router(redirect_slashes=False, default=front_door, lifespan=lifespan)  # type: ignore[arg-type]
