"""Bearer tokens: `base64url(claims as JSON) "." base64url(HMAC-SHA256(secret, first part))`, without padding.

Minted here or by the legacy daemon, they are accepted by both. Legacy: auth/tokens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any, Final, NoReturn

from native_routes.declaration import Claims
from native_routes.javascript.primitives import stringify

__all__ = ["ROLES", "Claims", "bearer_token", "mint", "verify"]

ROLES: Final = ("admin", "operator", "agent", "readonly")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


def mint(secret: bytes, *, sub: str, role: str, scope: Any = None, ttl_s: float, now_s: float) -> str:
    """A token that is good until `now_s`, in whole seconds, plus `ttl_s`; the scope is signed as it is."""
    issued = int(now_s)
    claims = {"sub": sub, "scope": {} if scope is None else scope, "role": role, "iat": issued, "exp": issued + ttl_s}
    payload = _base64url(stringify(claims).encode())
    return f"{payload}.{_base64url(_signature(secret, payload))}"


def verify(secret: bytes, token: str, now_s: float) -> Claims | str:
    """The claims of a good token, else the reason as legacy words it.

    `secret` must not be empty: anybody could sign with an empty one.
    """
    payload, _, signature = token.partition(".")
    if not signature:
        return "malformed token"
    if not hmac.compare_digest(_signature(secret, payload), _lenient_base64(signature)):
        return "invalid signature"
    try:
        text = _lenient_base64(payload).decode(errors="replace")
        claims = json.loads(text, parse_int=float, parse_constant=_no_constant)  # every JavaScript number is a double
    except (ValueError, RecursionError):
        return "malformed payload"
    if claims is None:
        return "malformed payload"  # Differs: legacy fails with a 500 here
    if not isinstance(claims, dict) or not (
        isinstance(claims.get("iat"), float) and isinstance(claims.get("exp"), float)
    ):
        return "missing timestamps"
    if int(now_s) >= claims["exp"]:
        return "token expired"
    return _claims(claims)


def bearer_token(authorization: bytes) -> str | None:
    """The token of an Authorization field: exactly `Bearer`, one space, no further space. None for anything else."""
    scheme, _, token = authorization.partition(b" ")
    if scheme != b"Bearer" or not token or b" " in token:
        return None
    return token.decode("latin-1")


def _claims(payload: dict[str, Any]) -> Claims:
    sub, role, scope = payload.get("sub"), payload.get("role"), payload.get("scope")
    return Claims(
        sub=sub if isinstance(sub, str) else None,
        scope=scope if isinstance(scope, dict) else {},
        role=role if isinstance(role, str) else None,
        iat=payload["iat"],
        exp=payload["exp"],
        raw=payload,
    )


def _signature(secret: bytes, payload: str) -> bytes:
    return hmac.new(secret, payload.encode(), hashlib.sha256).digest()


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _lenient_base64(text: str) -> bytes:
    """Both alphabets, padding optional, other characters skipped, as Buffer.from(text, "base64") reads it."""
    digits = _NOT_BASE64.sub("", text.replace("-", "+").replace("_", "/").partition("=")[0])
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return base64.b64decode(digits + "=" * (-len(digits) % 4))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
