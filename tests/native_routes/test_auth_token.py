from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from native_routes.agent_yaml import AuthPolicy
from native_routes.tokens import ROLES, Claims, verify
from tests.native_routes.asking import StoppedClock, ask, value

SECRET = b"s" * 32
ISSUED = 1_795_234_000


@dataclass
class Context:
    policy: AuthPolicy = field(default_factory=lambda: AuthPolicy(mode="team", secret=SECRET))
    clock: StoppedClock = field(default_factory=StoppedClock)

    def auth(self) -> AuthPolicy:
        return self.policy


async def issued(**body: Any) -> tuple[Claims, str]:
    reply = await ask(Context(), "POST", "/api/auth/token", json_body=body)
    assert reply.status == 200
    claims = verify(SECRET, value(reply)["token"], ISSUED)
    assert isinstance(claims, Claims)
    return claims, value(reply)["expiresAt"]


@pytest.mark.parametrize("role", ROLES)
async def test_a_token_is_good_for_a_week_and_says_its_role(role: str) -> None:
    claims, expires = await issued(role=role)

    assert (claims.role, claims.sub, claims.scope) == (role, f"token:{role}", {})
    assert (claims.iat, claims.exp) == (ISSUED, ISSUED + 604_800)
    assert expires == "2026-11-28T04:06:40.000Z"


async def test_scope_and_time_to_live_are_taken_over_as_they_are() -> None:
    claims, expires = await issued(role="agent", scope={"project": "/p", "other": [1, None]}, ttlSeconds=0.5)

    assert claims.scope == {"project": "/p", "other": [1, None]}
    assert claims.exp == ISSUED + 0.5
    assert expires == "2026-11-21T04:06:40.500Z"


@pytest.mark.parametrize("ttl", [0, -5, "60", None, True])
async def test_a_time_to_live_that_is_no_positive_number_is_the_default(ttl: Any) -> None:
    claims, _ = await issued(role="agent", ttlSeconds=ttl)

    assert claims.exp == ISSUED + 604_800


async def test_the_caller_may_name_the_subject() -> None:
    assert (await issued(role="agent", sub="ci-runner"))[0].sub == "ci-runner"
    assert (await issued(role="agent", sub=""))[0].sub == "token:agent"
    assert (await issued(role="agent", sub=5))[0].sub == "token:agent"


@pytest.mark.parametrize("body", [b"", b"{oops", b"null", b"0", b"false", b'""'])
async def test_a_body_that_says_nothing_is_refused(body: bytes) -> None:
    reply = await ask(Context(), "POST", "/api/auth/token", body=body)

    assert (reply.status, value(reply)) == (400, {"error": "invalid request body"})


@pytest.mark.parametrize("role", ["root", "Admin", ["admin"], 5, None])
async def test_a_role_that_nobody_has_is_refused(role: Any) -> None:
    reply = await ask(Context(), "POST", "/api/auth/token", json_body={"role": role})

    assert (reply.status, value(reply)) == (400, {"error": "role must be one of: admin, operator, agent, readonly"})


async def test_without_a_secret_there_are_no_tokens() -> None:
    for policy in (AuthPolicy(mode="team"), AuthPolicy(mode="local", secret=SECRET)):
        reply = await ask(Context(policy), "POST", "/api/auth/token", body=b"{oops")
        assert (reply.status, value(reply)) == (400, {"error": "auth secret not available (local mode?)"})


async def test_a_time_beyond_javascripts_dates_fails_as_it_does_there() -> None:
    reply = await ask(Context(), "POST", "/api/auth/token", body=b'{"role":"agent","ttlSeconds":1e999}')

    assert (reply.status, reply.body) == (500, b"Internal Server Error")


async def test_a_scope_that_is_nested_without_end_is_refused() -> None:
    body = b'{"role":"agent","scope":' + b"[" * 900 + b"]" * 900 + b"}"
    reply = await ask(Context(), "POST", "/api/auth/token", body=body)

    assert (reply.status, value(reply)) == (400, {"error": "invalid request body"})


async def test_half_a_character_in_subject_and_scope_is_kept_as_half() -> None:
    claims, _ = await issued(role="agent", sub="\ud800", scope="\udc00")

    assert (claims.sub, claims.raw["scope"]) == ("\ud800", "\udc00")
