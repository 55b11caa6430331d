"""May this caller do this: token, permission, rate. Scopes that need a row stay with the side that answers.

Differs from legacy: see `docs/differences.md`, section "Who may call".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from native_routes.agent_yaml import AuthPolicy
from native_routes.declaration import Claims, Permission, Route
from native_routes.javascript.values import to_text
from native_routes.reply import Refusal
from proxy.edge import Caller
from proxy.head import Head
from proxy.match import Match

WINDOWS: Final = 10_000  # keys remembered at once; actor names are the caller's choice

_AGENT: Final[frozenset[Permission]] = frozenset({"remember", "recall", "modify", "forget", "recover", "documents"})
_OPERATOR: Final[frozenset[Permission]] = _AGENT | {"connectors", "diagnostics", "analytics"}
PERMISSIONS: Final[Mapping[str, frozenset[Permission]]] = {
    "admin": _OPERATOR | {"admin"},
    "operator": _OPERATOR,
    "agent": _AGENT,
    "readonly": frozenset({"recall"}),
}
"""Role -> what it may do. A role that is not here may do nothing that needs a permission."""


class Admission:
    """Judges requests; remembers only the rate windows."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def check(self, head: Head, caller: Caller, match: Match, auth: AuthPolicy, now_s: float) -> Refusal | None:
        """None when the request may go on. `now_s` is the wall clock; a request that passes counts at once."""
        if not match.path:
            return Refusal(400, "the request target is not a path that every parser reads alike; send a plain one")
        route = match.route
        if auth.mode == "local" or (route and route.public):
            return None
        if caller.claims is None and not (auth.mode == "hybrid" and caller.local and caller.bad_token == NO_TOKEN):
            return _unauthorized(caller.bad_token or NO_TOKEN)
        if route is None:
            return None
        if route.needs and caller.claims and route.needs not in PERMISSIONS.get(caller.claims.role or "", ()):
            role = to_text(caller.claims.raw.get("role", "undefined"))
            return Refusal(403, f"role '{role}' lacks '{route.needs}' permission")
        return self._rate(route, _actor(head, caller.claims), auth, int(now_s * 1000)) if route.limit else None

    def _rate(self, route: Route, actor: str, auth: AuthPolicy, now_ms: int) -> Refusal | None:
        limit = auth.limits[route.limit or ""]
        key = f"{actor}:{route.limit}"
        window = self._windows.get(key)
        # A window that begins later than now: the clock was set back, and nobody may wait until it catches up.
        if window is None or window.start_ms > now_ms or now_ms - window.start_ms >= limit.window_ms:
            self._open(key, now_ms)
            return None
        if window.count >= limit.max:
            return _too_many(window.start_ms + limit.window_ms, now_ms)
        window.count += 1
        return None

    def _open(self, key: str, now_ms: int) -> None:
        """A new window, the newest of the mapping; when there are too many, the oldest goes."""
        self._windows.pop(key, None)
        if len(self._windows) >= WINDOWS:
            del self._windows[next(iter(self._windows))]
        self._windows[key] = _Window(now_ms)


NO_TOKEN: Final = "authentication required"
SECRET_MISSING: Final = "auth secret not configured"


@dataclass(slots=True)
class _Window:
    start_ms: int
    count: int = 1


def _actor(head: Head, claims: Claims | None) -> str:
    subject = claims.raw.get("sub") if claims else None
    if subject is not None:
        return to_text(subject)
    return head.fields.get(b"x-signet-actor", b"anonymous").decode("latin-1")


def _unauthorized(reason: str) -> Refusal:
    if reason == SECRET_MISSING:
        return Refusal(503, reason, ((b"retry-after", b"1"),))  # legacy makes it at its first boot in this mode
    return Refusal(401, reason, ((b"www-authenticate", b"Bearer"),))


def _too_many(reset_ms: float, now_ms: int) -> Refusal:
    wait_s = math.ceil((reset_ms - now_ms) / 1000)
    return Refusal(429, "rate limit exceeded", ((b"retry-after", str(wait_s).encode()),), retryAfter=reset_ms)
