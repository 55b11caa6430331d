"""What a route and a route group are. Edge, matcher, admission and cutover read these declarations and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from native_routes.reply import Answer

Permission = Literal[
    "remember",
    "recall",
    "modify",
    "forget",
    "recover",
    "admin",
    "documents",
    "connectors",
    "diagnostics",
    "analytics",
]
Limiter = Literal["admin", "modify", "forget", "batchForget", "cross-agent-message"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. Only `iat` and `exp` are known to be well formed; seconds since 1970."""

    sub: str | None
    scope: Mapping[str, Any]  # project, agent, user: each optional; {} = unscoped
    role: str | None  # an unknown role has no permission
    iat: float
    exp: float
    raw: Mapping[str, Any]  # the payload as signed, for replies that repeat it


class RequestHead(Protocol):
    """The part of a request's head that handlers may read."""

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> bytes: ...
    @property
    def fields(self) -> Mapping[bytes, bytes]: ...


@dataclass(frozen=True, slots=True)
class NativeRequest:
    head: RequestHead
    path: str  # decoded as the matcher saw it
    params: Mapping[str, str]
    query: str  # raw, without the question mark
    claims: Claims | None  # None in local mode and for a local caller without a token
    body: Callable[[], Awaitable[bytes]]
    context: Any  # the app's services; a group that needs some types them by a Protocol of its own


class LeftToLegacy(Exception):
    """Raised by a handler that has done nothing yet: this one request is for the legacy daemon to answer."""


Handler = Callable[[NativeRequest], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path; `handler=None` until it is answered natively."""

    method: str  # "ALL" = every method
    path: str  # as Hono writes it: /api/memory/:id
    handler: Handler | None = None
    needs: Permission | None = None  # None = any valid token; says why where it stands
    limit: Limiter | None = None
    streams: bool = False
    public: bool = False  # no token in any mode
    stricter: str | None = None  # why `needs` asks for more than the legacy daemon does
    ours: bool = False  # not a route of the legacy daemon
    within_s: float | None = None  # time for the handler; None = the proxy's native_deadline_s, inf = any


@dataclass(frozen=True, slots=True)
class RouteGroup:
    """Routes that migrate together, in the legacy daemon's order."""

    name: str
    phase: int
    routes: tuple[Route, ...]
    ships_native: bool = False  # answered natively unless somebody asks for something else, where evidence holds
    remembers: frozenset[str] = frozenset()  # state in memory that only the side which answers has
    borrows: frozenset[str] = frozenset()  # state that stays in legacy's memory and is asked for
    reads: frozenset[str] = frozenset()  # tables; named when the group's SQL exists
    writes: frozenset[str] = frozenset()  # tables, and files of the home
    counts: frozenset[str] = frozenset()  # tables in which its reads note that they were made
