"""Heads, policies and tokens from which the tests of the edge and of admission build their requests."""

from __future__ import annotations

from collections.abc import Mapping

from native_routes.agent_yaml import AuthPolicy, Mode
from native_routes.tokens import mint
from proxy.edge import Caller, Edge
from proxy.head import Head
from proxy.settings import Settings

SECRET = bytes(range(32))
LONG_AGO_S = 1_000_000_000.0
A_CENTURY_S = 3_153_600_000.0
LOOPBACK, LAN = "127.0.0.1", "192.168.1.20"


def policy(mode: Mode) -> AuthPolicy:
    return AuthPolicy(mode=mode, secret=SECRET)


def edge(mode: Mode = "local", **env: str) -> Edge:
    return Edge(Settings.from_env({"HOME": "/nowhere", **env}), policy(mode))


def token(role: str, sub: str = "somebody", ttl_s: float = A_CENTURY_S) -> str:
    return mint(SECRET, sub=sub, role=role, ttl_s=ttl_s, now_s=LONG_AGO_S)


def bearer(role: str, sub: str = "somebody", ttl_s: float = A_CENTURY_S) -> dict[str, str]:
    return {"authorization": f"Bearer {token(role, sub, ttl_s)}"}


def head(
    method: str = "GET",
    target: bytes = b"/api/memories",
    fields: Mapping[str, str] | None = None,
    *,
    host: str | None = "localhost:3850",
    peer: str | None = LOOPBACK,
) -> Head:
    sent = {**({} if host is None else {"host": host}), **(fields or {})}
    encoded = {name.encode(): value.encode("latin-1") for name, value in sent.items()}
    return Head(method, target, "1.1", list(encoded.items()), encoded, peer)


def seen(edge: Edge, head: Head) -> Caller:
    """The caller, where the edge must not refuse."""
    caller = edge.look(head)
    assert isinstance(caller, Caller), caller
    return caller
