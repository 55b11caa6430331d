"""Running a native handler: its time, its client, its faults. What follows from a fault, `answer.py` decides."""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard, TypeVar

from native_routes.database import Connection, DatabaseError, StatementError
from native_routes.declaration import Claims, LeftToLegacy, NativeRequest, Route, RouteGroup
from native_routes.reply import Answer, Refusal
from proxy.exchange import BodyTooLargeError, ClientGoneError, Exchange
from proxy.match import Match

T = TypeVar("T")
Item = TypeVar("Item")

BODY_LIMIT_BYTES: Final = 100 * 1024 * 1024
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
READING_POSTS: Final = frozenset({"/api/memory/recall"})  # asks with a body; counts accesses and changes nothing else
# Rows are all that their handlers change, so nothing has happened as long as no transaction of theirs was committed.
ROWS_ONLY: Final = frozenset({"remember", "modify", "forget", "feedback"})


@dataclass(frozen=True, slots=True)
class Raised:
    """The handler raised what no handler should. `may_replay`: nothing of the request has taken effect."""

    error: Exception
    may_replay: bool

    @property
    def place(self) -> str:
        """Type and innermost line of ours: `KeyError at native_routes/memories/handlers.py:71`."""
        return raised_at(self.error)


@dataclass(frozen=True, slots=True)
class DatabaseFault:
    """Busy, full, read-only, over its deadline: nobody's bug. Legacy answers these as an uncaught error."""

    error: DatabaseError


@dataclass(frozen=True, slots=True)
class Late:
    """The handler was ended after `within_s`."""

    within_s: float
    may_have_effect: bool


class Left:
    """The handler leaves this request to legacy, and has done nothing."""


Outcome = Answer | Raised | DatabaseFault | Late | Left


def only_reads(route: Route, method: str) -> bool:
    """Whether a request changes nothing that anybody would miss, so that it may be run twice, or given up half way."""
    return method in SAFE_METHODS or (method == "POST" and route.path in READING_POSTS)


def _request(exchange: Exchange, match: Match, claims: Claims | None, context: Any) -> NativeRequest:
    return NativeRequest(
        head=exchange.head,
        path=match.path,
        params=match.params,
        query=exchange.head.target.partition(b"?")[2].decode("latin-1"),
        claims=claims,
        body=lambda: exchange.read_body(BODY_LIMIT_BYTES),
        context=context,
    )


async def run_handler(
    exchange: Exchange, match: Match, claims: Claims | None, context: Any, default_within_s: float
) -> Outcome:
    """What the handler answers, or why it did not. Raises ClientGoneError.

    A client that leaves ends a handler that only reads; one that changes something runs to its end, as legacy's does.
    """
    group, route = match.group, match.route
    assert group is not None
    assert route is not None
    assert route.handler is not None
    reads = only_reads(route, exchange.head.method)
    writes = None if reads else _WatchedContext(context)
    within_s = default_within_s if route.within_s is None else route.within_s
    try:
        async with asyncio.timeout(None if within_s == math.inf else within_s) as limit:
            if reads:
                exchange.when_gone(lambda: None if limit.expired() else limit.reschedule(exchange.loop.time()))
            return await route.handler(_request(exchange, match, claims, writes or context))
    except Refusal as refusal:
        return refusal.reply()
    except BodyTooLargeError:
        return Refusal(413, f"the request body is over {BODY_LIMIT_BYTES} bytes").reply()
    except LeftToLegacy:
        return Left()
    except ClientGoneError:
        raise
    except Exception as error:
        if limit.expired():
            if exchange.gone:
                raise ClientGoneError from error
            return Late(within_s, may_have_effect=not reads)
        if is_database_fault(error):
            return DatabaseFault(error)
        return Raised(error, may_replay=writes is None or (_has_rows_only(group) and writes.has_no_effect))
    finally:
        exchange.when_gone(None)


def _has_rows_only(group: RouteGroup) -> bool:
    return group.name in ROWS_ONLY and not group.remembers


def is_database_fault(error: Exception) -> TypeGuard[DatabaseError]:
    """Whether the database, not the handler, is at fault. A statement that SQLite refuses is the handler's bug."""
    return isinstance(error, DatabaseError) and not isinstance(error, StatementError)


def raised_at(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "native_routes" in frame.filename] or list(frames)
    if not ours:
        return type(error).__name__
    parts = Path(ours[-1].filename).parts
    shown = parts[parts.index("native_routes") :] if "native_routes" in parts else parts[-1:]
    return f"{type(error).__name__} at {'/'.join(shown)}:{ours[-1].lineno}"


class _WatchedContext:
    """The process's services, as one request that may write sees them: it is known whether something was written."""

    def __init__(self, services: Any) -> None:
        self._services = services
        self._writer: _WatchedWriter | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._services, name)

    @property
    def writer(self) -> Any:
        if self._writer is None:
            self._writer = _WatchedWriter(self._services.writer)
        return self._writer

    @property
    def has_no_effect(self) -> bool:
        return self._writer is None or self._writer.unsettled == 0


class _WatchedWriter:
    """A `Writer`. What its `run` raises has changed nothing (native_routes/writer.py); all else may have."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self.unsettled = 0  # works that were committed, or of which nobody knows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    async def run(self, work: Callable[[Connection], T], **options: Any) -> T:
        return await self._settled(self._writer.run(work, **options))

    async def run_together(
        self, work: Callable[[Connection, Sequence[Item]], Sequence[T]], item: Item, **options: Any
    ) -> T:
        return await self._settled(self._writer.run_together(work, item, **options))

    async def _settled(self, running: Coroutine[Any, Any, T]) -> T:
        self.unsettled += 1
        try:
            return await running
        except Exception:
            self.unsettled -= 1
            raise
