"""`POST /api/auth/token`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from native_routes.agent_yaml import AuthPolicy
from native_routes.declaration import NativeRequest
from native_routes.javascript.dates import LAST_MS, iso_text
from native_routes.javascript.values import truthy
from native_routes.outside import Clock
from native_routes.reply import UNCAUGHT, Refusal, Reply, json_reply
from native_routes.request_body import read_json
from native_routes.tokens import ROLES, mint


class Context(Protocol):
    @property
    def clock(self) -> Clock: ...
    @property
    def auth(self) -> Callable[[], AuthPolicy]: ...


async def issue_token(request: NativeRequest) -> Reply:
    """A bearer token for a role; nothing is stored, so only another secret takes it back.

    Legacy: POST /api/auth/token. Differs: a `sub` that is text and not empty is the token's, where legacy always
    writes `token:<role>`, so that its own guide's tokens could not be told apart.
    """
    context: Context = request.context
    policy = context.auth()
    if policy.mode == "local" or policy.secret is None:
        raise Refusal(400, "auth secret not available (local mode?)")
    body = await _body(request)
    role = body.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise Refusal(400, f"role must be one of: {', '.join(ROLES)}")
    ttl_s, scope, now_ms = _ttl_s(body, policy), body.get("scope"), context.clock.now_ms()
    if not now_ms + ttl_s * 1000 <= LAST_MS:
        return UNCAUGHT  # legacy's date is invalid, and throws
    token = mint(
        policy.secret,
        sub=_subject(body, role),
        role=role,
        scope={} if scope is None else scope,
        ttl_s=ttl_s,
        now_s=now_ms / 1000,
    )
    return json_reply({"token": token, "expiresAt": iso_text(int(now_ms + ttl_s * 1000))})


async def _body(request: NativeRequest) -> dict[str, Any]:
    try:
        body = await read_json(request)
    except ValueError:
        body = None
    if not truthy(body):
        raise Refusal(400, "invalid request body")
    return body if isinstance(body, dict) else {}


def _ttl_s(body: dict[str, Any], policy: AuthPolicy) -> float:
    wanted = body.get("ttlSeconds")
    return wanted if isinstance(wanted, float) and wanted > 0 else policy.default_token_ttl_s


def _subject(body: dict[str, Any], role: str) -> str:
    wanted = body.get("sub")
    return wanted if isinstance(wanted, str) and wanted else f"token:{role}"
