"""Signed bearer tokens as values that move: their claims are compared, their times by distance from now."""

from __future__ import annotations

import base64
import binascii
import json

from native_routes import tokens

_TOLERANCE_S = 90.0


def token_claims(text: str, now_s: float) -> str | None:
    """The claims as JSON with iat and exp as seconds from now, in tens; None when the text is not a token."""
    claims = _payload(text)
    if claims is None:
        return None
    for name in ("iat", "exp"):
        at = claims.get(name)
        if isinstance(at, int | float):
            claims[name] = round((at - now_s) / 10) * 10
    return json.dumps(claims, ensure_ascii=False, separators=(",", ":"))


def token_matches(expected: str, text: str, now_s: float, secret: bytes | None) -> bool:
    """Whether the token says the same, in the same order, and is signed with the home's secret."""
    got = token_claims(text, now_s)
    if got is None or (secret is not None and isinstance(tokens.verify(secret, text, now_s), str)):
        return False
    wanted, found = json.loads(expected), json.loads(got)
    return list(wanted) == list(found) and all(_same(name, wanted[name], found[name]) for name in wanted)


def _same(name: str, wanted: object, found: object) -> bool:
    if name in {"iat", "exp"} and isinstance(wanted, int | float) and isinstance(found, int | float):
        return abs(wanted - found) <= _TOLERANCE_S
    return wanted == found


def _payload(text: str) -> dict[str, object] | None:
    part = text.partition(".")[0]
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error):
        return None
    return claims if isinstance(claims, dict) else None
