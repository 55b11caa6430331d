"""Mode shadow: legacy answers the user; afterwards the read is run natively on what legacy saw, and the two compared.

Nothing here may be noticed by a user, change a row, or let a comparison pass that was none. Why each rule is as it is:
docs/decisions/0010-shadow.md.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import structlog

from native_routes.database import DatabaseError
from native_routes.declaration import Claims, LeftToLegacy, NativeRequest, Route, RouteGroup
from native_routes.only_compared import only_compared
from native_routes.reply import Refusal, Reply, Stream
from proxy.answer_difference import Difference, Plain, differences, without_moving
from proxy.ask_again import ask_again
from proxy.caps import EXEMPT
from proxy.comparisons import Comparison, Verdict, shown_target
from proxy.declared_differences import BY_DESIGN, NOT_COMPARED
from proxy.exchange import Exchange
from proxy.exchange_copy import Answer, ExchangeCopy
from proxy.field_lines import Terms, request_head
from proxy.forward import Forwarder
from proxy.head import Head
from proxy.legacy.stand_in import is_served
from proxy.match import Match
from proxy.native_run import is_database_fault, only_reads, raised_at
from proxy.read_snapshot import Snapshot, Snapshots, SnapshotServices
from proxy.services import Services

PAUSE_S = 2.5  # before legacy is asked again: it keeps answers for 2 s, and what counts seconds must have moved
SUSPECT_FOR_S: Final = 3_600.0
LOOP_BYTES: Final = 4_096  # of JSON, which take 0.1 ms
T = TypeVar("T")

log = structlog.get_logger("shadow")


class Skip(Exception):
    """The comparison says nothing; the message, one of few, says why."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that legacy answers, with all that is needed to answer it natively."""

    group: RouteGroup
    route: Route
    match: Match
    head: Head
    claims: Claims | None
    terms: Terms
    head_bytes: bytes  # as legacy got it
    copy: ExchangeCopy

    @property
    def name(self) -> str:
        return _name(self.route)

    @property
    def may_be_asked_again(self) -> bool:
        """A POST is delivered once: legacy would count its accesses twice."""
        return self.head.method in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class _Failed:
    """The handler raised, as it would have for the user. `place`: see `raised_at`."""

    place: str


class Shadow:
    """One for the whole process."""

    def __init__(self, services: Services, forwarder: Forwarder) -> None:
        settings = services.settings
        self._services = services
        self._forwarder = forwarder
        self._tally = services.tally
        self._share = settings.shadow_share
        self._limit_bytes = settings.shadow_body_limit_bytes
        self._within_s = settings.shadow_within_s
        self._in_full = settings.shadow_shows_values
        self._snapshots = Snapshots(settings.database_path, settings.shadow_in_flight_limit)
        self._under_way: set[asyncio.Task[None]] = set()
        self._suspected: dict[str, float] = {}  # route -> when it differed last, time.monotonic()

    async def watch(self, exchange: Exchange, match: Match, claims: Claims | None, terms: Terms) -> Terms:
        """`terms` for forwarding this exchange: with a copy where it will be compared, as they are where not.

        The one step that a user waits for: a snapshot, begun before legacy is asked.
        """
        group, route = match.group, match.route
        if group is None or route is None or not _is_shadowed(group, route, exchange) or random.random() >= self._share:
            return terms
        if (why := self._incomparable(route)) is not None:
            self._tally.skip(group, why)
            return terms
        snapshot = self._snapshots.take()
        if snapshot is None:
            self._tally.skip(group, "busy with others")
            return terms
        try:
            version = await snapshot.begin()
        except DatabaseError:
            self._tally.skip(group, "no snapshot in time")
            self._keep(self._snapshots.give_back(snapshot))
            return terms
        copy = ExchangeCopy(exchange.loop, self._limit_bytes)
        head = request_head(exchange, terms)
        asked = _Asked(group, route, match, exchange.head, claims, terms, head, copy)
        self._keep(self._compare(asked, snapshot, version))
        return replace(terms, copy=copy)

    def _incomparable(self, route: Route) -> str | None:
        if not is_served(route, self._services.legacy.status):
            return "the stand-in lacks the route"
        return NOT_COMPARED.get(_name(route))

    async def close(self) -> None:
        """Give up what is under way and close the connections, while the anchor still holds."""
        for task in tuple(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(tuple(self._under_way))
        await self._snapshots.close()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _compare(self, asked: _Asked, snapshot: Snapshot, version: int) -> None:
        try:
            comparison = await self._judge(asked, snapshot, version)
        except Skip as skip:
            comparison = self._told(asked, Verdict.SKIPPED, str(skip))
        except DatabaseError as error:
            comparison = self._told(asked, Verdict.SKIPPED, f"the database: {type(error).__name__}")
        except Exception:  # a bug of the comparison itself must not pass for a verdict
            log.exception("comparison_failed", route=asked.name)
            comparison = self._told(asked, Verdict.SKIPPED, "the comparison failed")
        finally:
            await self._snapshots.give_back(snapshot)
        self._tally.count(comparison)
        self._services.journal.record_comparison(comparison)

    async def _judge(self, asked: _Asked, snapshot: Snapshot, version: int) -> Comparison:
        legacy = await self._in_time(asked.copy.reply, "legacy took too long")
        if legacy is None:
            raise Skip("a body is too long" if asked.copy.is_too_large else "legacy gave no whole reply")
        legacy = _as_sent(legacy, asked.terms)
        native = await self._natively(asked, snapshot)
        if not await _differences(legacy, native, asked):
            return self._told(asked, Verdict.EQUAL)
        if asked.may_be_asked_again:
            return await self._ask_both_again(asked, snapshot, version, legacy)
        return await self._ask_native_again(asked, snapshot, version, legacy, native)

    async def _ask_both_again(self, asked: _Asked, snapshot: Snapshot, version: int, legacy: Answer) -> Comparison:
        """A difference counts when it is there again, the database has not changed, and legacy agrees with itself."""
        await snapshot.end()
        await asyncio.sleep(PAUSE_S)
        again = await snapshot.renew()
        if again != version:
            raise Skip("the database changed")
        native_again = await self._natively(asked, snapshot)
        legacy_again = await self._in_time(self._ask_legacy_again(asked), "legacy took too long")
        if legacy_again is None:
            raise Skip("legacy could not be asked again")
        if await snapshot.renew() != again:
            raise Skip("the database changed")
        moving = await _differences(legacy, legacy_again, asked)
        found = without_moving(await _differences(legacy_again, native_again, asked), moving)
        if not found:
            return self._told(asked, Verdict.EQUAL, "but for what moves")
        return await self._confirmed(asked, found[0])

    async def _ask_native_again(
        self, asked: _Asked, snapshot: Snapshot, version: int, legacy: Answer, native: Answer | _Failed
    ) -> Comparison:
        """Legacy is not asked twice, and has itself changed the database by counting its accesses.

        So the native answer must be the same before and after that change, and the route must differ for a second
        request, too, before it is taken for more than an embedder's bad moment.
        """
        if legacy.status >= 500:
            raise Skip("legacy failed")  # it may have been busy, and cannot be asked whether it still is
        changed = await snapshot.renew() != version
        native_again = await self._natively(asked, snapshot)
        found = await _differences(legacy, native_again, asked)
        if native_again != native or not found:
            raise Skip("the database changed" if changed else "the native answer is not the same twice")
        now_s = time.monotonic()
        before_s, self._suspected[asked.name] = self._suspected.get(asked.name), now_s
        if before_s is None or now_s - before_s > SUSPECT_FOR_S:
            return self._told(asked, Verdict.DIFFERS, "not confirmed yet", found[0])
        return await self._confirmed(asked, found[0])

    async def _confirmed(self, asked: _Asked, difference: Difference) -> Comparison:
        """Puts the set back to legacy. The reason stands in status and logs, so it never tells values in full."""
        legacy, native = difference.told(in_full=False)
        reason = f"shadow: {asked.name} differs at {difference.path}: legacy {legacy}, native {native}"
        log.error("native_answer_differs", group=asked.group.name, reason=reason)
        if not self._services.cutover.is_frozen(asked.group.name):
            await self._services.cutover.freeze([asked.group.name], reason)
        return self._told(asked, Verdict.DIFFERS, "confirmed", difference)

    async def _natively(self, asked: _Asked, snapshot: Snapshot) -> Answer | _Failed:
        assert asked.route.handler is not None
        body = asked.copy.request_body
        context = SnapshotServices(self._services, snapshot)
        request = NativeRequest(
            head=asked.head,
            path=asked.match.path,
            params=asked.match.params,
            query=asked.head.target.partition(b"?")[2].decode("latin-1"),
            claims=asked.claims,
            body=lambda: _ready(body),
            context=context,
        )
        try:
            async with asyncio.timeout(self._within_s) as limit:
                with only_compared():
                    reply: Reply | Stream = await asked.route.handler(request)
        except Refusal as refusal:
            reply = refusal.reply()
        except LeftToLegacy as left:
            raise Skip("native leaves it to legacy") from left
        except Exception as error:  # a finding: to a user it would be a fallback and a freeze
            if limit.expired():
                raise Skip("native took too long") from error
            if is_database_fault(error):
                raise
            return _Failed(raised_at(error))
        if isinstance(reply, Stream):
            await reply.pieces.aclose()
            raise Skip("a stream has no end to compare")
        return Answer(reply.status, reply.headers, reply.body)

    async def _ask_legacy_again(self, asked: _Asked) -> Answer | None:
        legacy, pool = self._services.legacy, self._forwarder.pool
        if not legacy.accepts():
            return None
        pool.set_address(legacy.address)
        head_only = asked.head.method == "HEAD"
        answer = await ask_again(pool, asked.head_bytes, head_only=head_only, limit_bytes=self._limit_bytes)
        return None if answer is None else _as_sent(answer, asked.terms)

    async def _in_time(self, work: Awaitable[T], otherwise: str) -> T:
        try:
            return await asyncio.wait_for(work, self._within_s)
        except TimeoutError:
            raise Skip(otherwise) from None

    def _told(
        self, asked: _Asked, verdict: Verdict, reason: str = "", difference: Difference | None = None
    ) -> Comparison:
        target = shown_target(asked.head.target, in_full=self._in_full)
        if difference is None:
            return Comparison(asked.group.name, asked.name, target, verdict, reason)
        legacy, native = difference.told(in_full=self._in_full)
        return Comparison(asked.group.name, asked.name, target, verdict, reason, difference.path, legacy, native)


def _is_shadowed(group: RouteGroup, route: Route, exchange: Exchange) -> bool:
    """Whether a comparison could be right: a read whose answer does not depend on what legacy's memory holds."""
    if group.name in EXEMPT or group.remembers or group.writes:
        return False
    method = exchange.head.method
    if route.handler is None or route.ours or route.streams or not only_reads(route, method):
        return False
    # A reply may be compressed or partial; native ones are neither. A GET's body could not be sent again.
    return b"range" not in exchange.head.fields and (method == "POST" or not exchange.has_body)


def _as_sent(answer: Answer, terms: Terms) -> Answer:
    """Legacy's answer as the client saw it: with our pid and port where it shows its own."""
    if terms.rewrite is None or answer.status != 200:
        return answer
    return replace(answer, body=terms.rewrite(answer.body))


async def _differences(legacy: Answer, other: Answer | _Failed, asked: _Asked) -> list[Difference]:
    """Large bodies are compared in a thread: other requests must not wait for it."""
    if isinstance(other, _Failed):
        return [Difference("handler", Plain(f"status {legacy.status}"), Plain(other.place))]
    head_only = asked.head.method == "HEAD"
    if legacy.body == other.body or len(legacy.body) < LOOP_BYTES:
        found = differences(legacy, other, head_only=head_only)
    else:
        found = await asyncio.to_thread(differences, legacy, other, head_only=head_only)
    by_design = BY_DESIGN.get(asked.name, frozenset())
    return [difference for difference in found if difference.path not in by_design]


def _name(route: Route) -> str:
    return f"{route.method} {route.path}"


async def _ready(body: bytes) -> bytes:
    return body
