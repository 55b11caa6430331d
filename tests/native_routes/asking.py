"""Requests to native handlers, found by the matcher as the app finds them; nothing of the front door is in between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from native_routes import GROUPS
from native_routes.declaration import Claims, NativeRequest
from native_routes.reply import Refusal, Reply
from proxy.match import Matcher

MATCHER = Matcher(GROUPS)


@dataclass
class StoppedClock:
    ms: int = 1_795_234_000_000  # 2026-11-21T04:06:40.000Z

    def now_ms(self) -> int:
        return self.ms


@dataclass(frozen=True, slots=True)
class Head:
    method: str
    target: bytes
    fields: Mapping[bytes, bytes] = field(default_factory=dict)


async def ask(
    context: Any,
    method: str,
    target: str | bytes,
    *,
    json_body: Any = None,
    body: bytes | None = None,
    fields: Mapping[bytes, bytes] | None = None,
    claims: Claims | None = None,
) -> Reply:
    """The reply, Refusals included. `body` as it is, else `json_body` as JSON."""
    raw = target.encode() if isinstance(target, str) else target
    match = MATCHER.match(method, raw)
    assert match.route is not None, f"no route takes {method} {target!r}"
    assert match.route.handler is not None, f"{match.route.path} is not native"
    sent = json.dumps(json_body).encode() if body is None else body

    async def read_body() -> bytes:
        return sent

    request = NativeRequest(
        head=Head(method, raw, fields or {}),
        path=match.path,
        params=match.params,
        query=raw.partition(b"?")[2].decode("latin-1"),
        claims=claims,
        body=read_body,
        context=context,
    )
    try:
        reply = await match.route.handler(request)
        assert isinstance(reply, Reply), "a stream has no body to show"
        return reply
    except Refusal as refusal:
        return refusal.reply()


def value(reply: Reply) -> Any:
    """The JSON of a reply."""
    return json.loads(reply.body)
