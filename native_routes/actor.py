"""Who changes something: as the token says, else as the request's fields say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.declaration import NativeRequest
from native_routes.javascript.coercion import optional_text

ACTOR_TYPES: Final = frozenset({"operator", "pipeline", "harness", "sdk", "daemon"})
NOBODY_NAMED: Final = "daemon"


@dataclass(frozen=True, slots=True)
class Actor:
    changed_by: Any  # text, or whatever JSON a token has for its subject; None when it has none, which no row takes
    actor_type: str | None
    session_id: str | None
    request_id: str | None


def actor_of(request: NativeRequest, fallback: object = None) -> Actor:
    """A token's subject and role; without a token what the fields say, then `fallback`, which any JSON may be."""
    session_id, request_id = _field(request, b"x-signet-session-id"), _field(request, b"x-signet-request-id")
    claims = request.claims
    if claims is not None:
        subject = claims.raw.get("sub") if claims.sub is None else claims.sub
        return Actor(subject, claims.role, session_id, request_id)
    changed_by = _field(request, b"x-signet-actor") or optional_text(fallback) or NOBODY_NAMED
    actor_type = _field(request, b"x-signet-actor-type")
    return Actor(changed_by, actor_type if actor_type in ACTOR_TYPES else "operator", session_id, request_id)


def _field(request: NativeRequest, name: bytes) -> str | None:
    return optional_text(request.head.fields.get(name, b"").decode("latin-1"))
