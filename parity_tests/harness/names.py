"""What ${names} in a scenario stand for on one side: kept values, tokens of the home's secret, points in time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from native_routes import tokens
from parity_tests.harness.seeded_id import uid

_NAME = re.compile(r"\$\{([A-Za-z0-9_.:/-]+)\}")
_AGE = re.compile(r"(ago|in|ago_sql|in_sql):(\d+)([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_HOUR_S = 3600
FOREIGN_SECRET = b"not the secret of this home, 32b"


class UnknownName(Exception):
    """A scenario uses a name that nothing gave it."""


@dataclass(slots=True)
class Names:
    """`fill` replaces every ${name}. Times count from the home's base, so they are the same on every side."""

    base_s: int
    secret: bytes
    kept: dict[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)  # address, port, embedder

    def fill(self, text: str) -> str:
        return _NAME.sub(lambda found: self.value(found[1]), text)

    def fill_bytes(self, body: bytes) -> bytes:
        """As `fill`; bytes that are no UTF-8 pass through."""
        if b"${" not in body:
            return body
        return self.fill(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def value(self, name: str) -> str:
        if name in self.kept:
            return self.kept[name]
        if name in self.fixed:
            return self.fixed[name]
        if name.startswith("token."):
            return token(name.removeprefix("token."), self.secret, self.base_s)
        if name.startswith("seeded."):
            return uid(*name.split(".")[1:])
        if age := _AGE.fullmatch(name):
            return self._time(age[1], int(age[2]) * _UNIT_S[age[3]])
        known = ", ".join([*self.kept, *self.fixed, "token.<name>", "ago:2d", "in:1h"])
        raise UnknownName(f"${{{name}}}: not kept by an earlier step; known: {known}")

    def _time(self, kind: str, seconds: int) -> str:
        at = self.base_s + (seconds if kind.startswith("in") else -seconds)
        return sql_time(at) if kind.endswith("_sql") else iso_time(at)


def iso_time(at_s: int, ms: int = 0) -> str:
    """As JavaScript's toISOString."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms:03d}Z"


def sql_time(at_s: int) -> str:
    """As SQLite's datetime('now')."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def token(name: str, secret: bytes, now_s: int) -> str:
    """A bearer token by its name: a role, or one of the odd ones below. Raises UnknownName."""
    if name in tokens.ROLES:
        return tokens.mint(secret, sub=f"{name}-1", role=name, ttl_s=_HOUR_S * 24, now_s=now_s)
    if name.startswith("scoped."):  # scoped.agent.project:/p
        _, role, limit = name.split(".", 2)
        key, _, value = limit.partition(":")
        return tokens.mint(secret, sub=f"{role}-s", role=role, scope={key: value}, ttl_s=86_400, now_s=now_s)
    odd = _odd_tokens(secret, now_s)
    if name not in odd:
        raise UnknownName(f"token.{name}: known are {', '.join([*tokens.ROLES, *odd, 'scoped.<role>.<key>:<value>'])}")
    return odd[name]


def _odd_tokens(secret: bytes, now_s: int) -> dict[str, str]:
    good = tokens.mint(secret, sub="agent-1", role="agent", ttl_s=86_400, now_s=now_s)
    payload, _, signature = good.partition(".")
    claims = {"sub": "agent-1", "scope": {}, "role": "agent", "iat": now_s, "exp": now_s + 86_400}

    def without(name: str) -> str:
        return signed(secret, {key: value for key, value in claims.items() if key != name})

    return {
        "unknown_role": tokens.mint(secret, sub="odd-1", role="weird", ttl_s=86_400, now_s=now_s),
        "expired": signed(secret, claims | {"iat": now_s - 7200, "exp": now_s - 3600}),
        "foreign": signed(FOREIGN_SECRET, claims),
        "tampered": f"{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "no_signature": f"{payload}.",
        "no_payload": f".{signature}",
        "no_dot": "abc",
        "no_exp": without("exp"),
        "no_iat": without("iat"),
        "no_sub": without("sub"),
        "no_role": without("role"),
        "no_scope": without("scope"),
        "list_sub": signed(secret, claims | {"sub": ["agent-1"]}),
        "null_role": signed(secret, claims | {"role": None}),
        "text_exp": signed(secret, claims | {"exp": "9999999999"}),
        "null_payload": _signed_text(secret, "null"),
        "bad_payload": _signed_text(secret, "{oops"),
    }


def signed(secret: bytes, claims: Mapping[str, Any]) -> str:
    return _signed_text(secret, json.dumps(claims, separators=(",", ":")))


def _signed_text(secret: bytes, text: str) -> str:
    payload = _base64url(text.encode())
    return f"{payload}.{_base64url(hmac.new(secret, payload.encode(), hashlib.sha256).digest())}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
