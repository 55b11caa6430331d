"""Tokens byte for byte: the vectors were minted and judged by a running Signet 0.58.1 with the secret 00 01 ... 1f."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native_routes.tokens import ROLES, Claims, bearer_token, mint, verify

SECRET = bytes(range(32))
NOW_S = 1_795_231_880.9
# Minted by the daemon: POST /api/auth/token {"role":"agent","scope":{"project":"p é"},"ttlSeconds":3153600000.5}
LEGACYS = (
    "eyJzdWIiOiJ0b2tlbjphZ2VudCIsInNjb3BlIjp7InByb2plY3QiOiJwIMOpIn0sInJvbGUiOiJhZ2VudCIsImlhdCI6MTc5NTIzMTg4MCwi"
    "ZXhwIjo0OTQ4ODMxODgwLjV9.-WK5xmHoJ7mjT_lFIOQlgFPNylo1NIWIM_1mUR8kdgI"
)


def signed(payload: bytes) -> str:
    """A token with a good signature and any payload."""
    text = base64.urlsafe_b64encode(payload).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.new(SECRET, text, hashlib.sha256).digest()).rstrip(b"=")
    return f"{text.decode()}.{signature.decode()}"


def test_minted_token_is_the_one_that_the_daemon_mints() -> None:
    token = mint(SECRET, sub="token:agent", role="agent", scope={"project": "p é"}, ttl_s=3_153_600_000.5, now_s=NOW_S)

    assert token == LEGACYS


def test_daemons_token_is_accepted_with_all_it_says() -> None:
    claims = verify(SECRET, LEGACYS, NOW_S)

    assert isinstance(claims, Claims)
    assert (claims.sub, claims.role, claims.scope) == ("token:agent", "agent", {"project": "p é"})
    assert (claims.iat, claims.exp) == (1_795_231_880, 4_948_831_880.5)
    assert list(claims.raw) == ["sub", "scope", "role", "iat", "exp"]


@pytest.mark.parametrize(
    "variant",
    [
        LEGACYS + "=",
        LEGACYS + "==",
        LEGACYS + "!",
        LEGACYS.replace("-", "+").replace("_", "/"),
        LEGACYS[:-3] + "~" + LEGACYS[-3:],
        LEGACYS.replace(".", ".."),
    ],
)
def test_signature_is_decoded_as_leniently_as_legacy_does(variant: str) -> None:
    assert isinstance(verify(SECRET, variant, NOW_S), Claims)


FAR = b"4102444800"
PAYLOADS = [
    (b'{"iat":1,"exp":' + FAR + b"}", None),
    (b' {"iat":1,"exp":' + FAR + b"}\n", None),
    (b'{"iat":1,"exp":1e400}', None),
    (b'{"iat":1,"exp":1' + b"0" * 400 + b"}", None),
    (b'{"iat":1,"exp":' + FAR + b',"sub":5,"role":7,"scope":"s"}', None),
    (b'{"iat":1,"exp":' + FAR + b',"sub":"\xff"}', None),
    (b"nope", "malformed payload"),
    (b"", "malformed payload"),
    (b'{"iat":NaN,"exp":1}', "malformed payload"),
    (b'\xef\xbb\xbf{"iat":1,"exp":' + FAR + b"}", "malformed payload"),
    (b'{"iat":1,"exp":' + FAR + b"} x", "malformed payload"),
    (b'{"iat":"1","exp":' + FAR + b"}", "missing timestamps"),
    (b'{"iat":true,"exp":' + FAR + b"}", "missing timestamps"),
    (b'{"exp":' + FAR + b"}", "missing timestamps"),
    (b'{"iat":1}', "missing timestamps"),
    (b"[1]", "missing timestamps"),
    (b"5", "missing timestamps"),
    (b'{"iat":1,"exp":1}', "token expired"),
    (b"null", "malformed payload"),  # legacy: 500
    (b"[" * 100_000, "malformed payload"),
]


@pytest.mark.parametrize(("payload", "reason"), PAYLOADS, ids=[repr(payload[:40]) for payload, _ in PAYLOADS])
def test_signed_payload_is_judged_as_the_daemon_judged_it(payload: bytes, reason: str | None) -> None:
    verdict = verify(SECRET, signed(payload), NOW_S)

    assert verdict == reason if reason else isinstance(verdict, Claims)


def test_claims_of_a_wrong_kind_count_as_not_there_and_stay_visible_as_signed() -> None:
    claims = verify(SECRET, signed(b'{"iat":1,"exp":' + FAR + b',"sub":5,"role":7,"scope":"s"}'), NOW_S)

    assert isinstance(claims, Claims)
    assert (claims.sub, claims.role, claims.scope) == (None, None, {})
    assert claims.raw == {"iat": 1, "exp": 4_102_444_800, "sub": 5, "role": 7, "scope": "s"}


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "malformed token"),
        ("abc", "malformed token"),
        ("abc.", "malformed token"),
        (".", "malformed token"),
        (".a", "invalid signature"),
        ("a.b", "invalid signature"),
        (LEGACYS[:-2], "invalid signature"),
        (LEGACYS + "AAAA", "invalid signature"),
        ("x" + LEGACYS, "invalid signature"),
        (LEGACYS.replace(".", "é."), "invalid signature"),
    ],
)
def test_bad_token_is_refused_with_legacys_reason(token: str, reason: str) -> None:
    assert verify(SECRET, token, NOW_S) == reason


def test_token_is_refused_from_the_second_it_expires_in() -> None:
    token = mint(SECRET, sub="a", role="admin", ttl_s=10, now_s=100.9)

    assert isinstance(verify(SECRET, token, 109.99), Claims)
    assert verify(SECRET, token, 110.0) == "token expired"


def test_token_of_another_secret_is_refused() -> None:
    assert verify(bytes(32), LEGACYS, NOW_S) == "invalid signature"


@settings(deadline=None)
@given(st.text(max_size=20), st.sampled_from(ROLES), st.dictionaries(st.sampled_from(["project", "agent"]), st.text()))
def test_minted_token_says_what_was_put_in(sub: str, role: str, scope: dict[str, str]) -> None:
    claims = verify(SECRET, mint(SECRET, sub=sub, role=role, scope=scope, ttl_s=60, now_s=NOW_S), NOW_S)

    assert isinstance(claims, Claims)
    assert (claims.sub, claims.role, dict(claims.scope)) == (sub, role, scope)


@settings(deadline=None)
@given(st.binary(max_size=120))
def test_no_text_is_an_error_or_a_pass(text: bytes) -> None:
    assert isinstance(verify(SECRET, text.decode("latin-1"), NOW_S), str)


@pytest.mark.parametrize(
    ("field", "token"),
    [
        (b"Bearer a.b", "a.b"),
        (b"Bearer \xe9", "\xe9"),
        (b"bearer a.b", None),
        (b"Bearer  a.b", None),
        (b"Bearer a.b x", None),
        (b"Bearer\ta.b", None),
        (b"Basic a.b", None),
        (b"Bearer", None),
        (b"a.b", None),
        (b"Bearer a.b, Bearer a.b", None),
        (b"", None),
    ],
)
def test_bearer_token_is_read_as_strictly_as_legacy_does(field: bytes, token: str | None) -> None:
    assert bearer_token(field) == token
