"""What is admitted: a matrix judged by tables written here, then tokens, permissions and rates one by one."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest

from native_routes import GROUPS
from native_routes.agent_yaml import AuthPolicy, Limit, Mode
from native_routes.declaration import Claims
from native_routes.reply import Refusal
from proxy.admit import PERMISSIONS, WINDOWS, Admission
from proxy.head import Head
from proxy.match import Matcher
from tests.proxy.callers import LAN, LOOPBACK, SECRET, bearer, edge, head, policy, seen

NOW_S = 1_700_000_000.0
MATCHER = Matcher(GROUPS)


def check(request: Head, mode: Mode = "team", at: Admission | None = None, now_s: float = NOW_S) -> Refusal | None:
    match = MATCHER.match(request.method, request.target)
    return (at or Admission()).check(request, seen(edge(mode), request), match, policy(mode), now_s)


def verdict(request: Head, mode: Mode) -> int:
    """200 when the request may go on, else the status of the refusal, by the edge or by admission."""
    caller = edge(mode).look(request)
    if isinstance(caller, Refusal):
        return caller.status
    match = MATCHER.match(request.method, request.target)
    refusal = Admission().check(request, caller, match, policy(mode), NOW_S)
    return refusal.status if refusal else 200


# The matrix. Who may pass without a good token; columns: Host local, Host of somebody else.
WITHOUT_A_GOOD_TOKEN: dict[tuple[str, str, str], tuple[int, int]] = {
    # mode     peer        token      local  other
    ("local",  "loopback", "none"): ( 200,   403),
    ("local",  "loopback", "bad"):  ( 200,   403),
    ("local",  "lan",      "none"): ( 200,   403),
    ("local",  "lan",      "bad"):  ( 200,   403),
    ("hybrid", "loopback", "none"): ( 200,   403),
    ("hybrid", "loopback", "bad"):  ( 401,   401),
    ("hybrid", "lan",      "none"): ( 401,   401),
    ("hybrid", "lan",      "bad"):  ( 401,   401),
    ("team",   "loopback", "none"): ( 401,   401),
    ("team",   "loopback", "bad"):  ( 401,   401),
    ("team",   "lan",      "none"): ( 401,   401),
    ("team",   "lan",      "bad"):  ( 401,   401),
}  # fmt: skip
# What a good token allows in hybrid and team mode, from anywhere, with any Host and any Origin.
WITH_A_GOOD_TOKEN = {
    # role        read  write  exec
    "readonly": ( 200,  403,   403),
    "admin":    ( 200,  200,   200),
}  # fmt: skip

PEERS = {"loopback": LOOPBACK, "lan": LAN}
MODES: tuple[Mode, ...] = ("local", "hybrid", "team")
HOSTS = {"local": "localhost:3850", "spoofed": "localhost.evil.example:3850", "foreign": "mem.example"}
TOKENS = {
    "none": {},
    "bad": {"authorization": "Bearer a.b"},
    "expired": bearer("admin", ttl_s=1),
    "readonly": bearer("readonly"),
    "admin": bearer("admin"),
}
REQUESTS = {
    "read": ("POST", b"/api/memory/recall"),
    "write": ("POST", b"/api/config"),
    "exec": ("POST", b"/api/secrets/exec"),
}


def expected(mode: str, peer: str, host: str, origin: str, token: str, request: str) -> int:
    if token in WITH_A_GOOD_TOKEN:
        return 200 if mode == "local" else WITH_A_GOOD_TOKEN[token][list(REQUESTS).index(request)]
    if origin == "foreign":
        return 403
    return WITHOUT_A_GOOD_TOKEN[mode, peer, "bad" if token == "expired" else token][host != "local"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("host", HOSTS)
def test_matrix_of_callers_and_requests_gets_the_verdicts_of_the_tables(mode: Mode, peer: str, host: str) -> None:
    origins = {"none": {}, "own": {"origin": f"http://{HOSTS[host]}"}, "foreign": {"origin": "https://evil.example"}}
    for origin, token, request in itertools.product(origins, TOKENS, REQUESTS):
        method, target = REQUESTS[request]
        sent = head(method, target, {**origins[origin], **TOKENS[token]}, host=HOSTS[host], peer=PEERS[peer])
        case = (mode, peer, host, origin, token, request)
        assert verdict(sent, mode) == expected(*case), case


# Tokens


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "authentication required"),
        ({"authorization": "Bearer x"}, "malformed token"),
        ({"authorization": "Bearer a.b"}, "invalid signature"),
        (bearer("admin", ttl_s=1), "token expired"),
    ],
)
def test_request_without_a_good_token_is_answered_as_legacy_answers(fields: dict[str, str], reason: str) -> None:
    refusal = check(head(fields=fields))

    assert refusal is not None
    reply = refusal.reply()
    assert (reply.status, json.loads(reply.body)) == (401, {"error": reason})
    assert (b"www-authenticate", b"Bearer") in reply.headers


def test_local_caller_with_a_bad_token_is_refused_in_hybrid_mode_where_legacy_gives_full_access() -> None:
    for fields in ({"authorization": "Bearer a.b"}, bearer("admin", ttl_s=1)):
        refusal = check(head("POST", b"/api/secrets/exec", fields), "hybrid")
        assert refusal is not None
        assert refusal.status == 401
    assert check(head("POST", b"/api/secrets/exec"), "hybrid") is None


def test_reverse_proxy_on_this_machine_needs_a_token_in_hybrid_mode() -> None:
    for name in ("x-forwarded-for", "forwarded", "x-real-ip", "via"):
        refusal = check(head(fields={name: "127.0.0.1"}), "hybrid")
        assert refusal is not None
        assert refusal.status == 401


def test_missing_secret_is_a_temporary_refusal_of_everybody_with_a_token() -> None:
    unready = AuthPolicy(mode="team")
    request = head(fields=bearer("admin"))
    at = edge("team")
    at.auth = unready

    refusal = Admission().check(request, seen(at, request), MATCHER.match("GET", request.target), unready, NOW_S)

    assert refusal is not None
    assert (refusal.status, refusal.error) == (503, "auth secret not configured")
    assert dict(refusal.headers)[b"retry-after"] == b"1"


@pytest.mark.parametrize("target", [b"/health", b"/health/live", b"/health/ready", b"/he%61lth?x"])
@pytest.mark.parametrize("mode", MODES)
def test_health_needs_no_token_from_anywhere(mode: Mode, target: bytes) -> None:
    for method, fields in itertools.product(("GET", "HEAD"), TOKENS.values()):
        assert check(head(method, target, fields, peer=LAN), mode) is None


def test_post_to_health_is_not_public() -> None:
    refusal = check(head("POST", b"/health"))

    assert refusal is not None
    assert refusal.status == 401


@pytest.mark.parametrize("target", [b"/", b"/api/not/there", b"/dashboard.js", b"/api/memory/"])
def test_path_outside_the_table_needs_any_valid_token(target: bytes) -> None:
    for mode in ("hybrid", "team"):
        refusal = check(head(target=target, peer=LAN), mode)
        assert refusal is not None
        assert refusal.status == 401
        assert check(head(target=target, fields=bearer("unheard-of"), peer=LAN), mode) is None


@pytest.mark.parametrize("target", [b"*", b"http://user@host/health", b"/a\x7f"])
@pytest.mark.parametrize("mode", MODES)
def test_target_that_is_no_plain_path_is_refused_in_every_mode_for_everybody(mode: Mode, target: bytes) -> None:
    refusal = check(head(target=target, fields=bearer("admin")), mode)

    assert refusal is not None
    assert refusal.status == 400


# Permissions

ALL = {"admin", "operator", "agent", "readonly"}
# Source: reference, permission matrix.
WHO_MAY = {
    "recall": ALL,
    "remember": ALL - {"readonly"},
    "modify": ALL - {"readonly"},
    "forget": ALL - {"readonly"},
    "recover": ALL - {"readonly"},
    "documents": ALL - {"readonly"},
    "connectors": {"admin", "operator"},
    "diagnostics": {"admin", "operator"},
    "analytics": {"admin", "operator"},
    "admin": {"admin"},
}


def test_roles_hold_the_permissions_of_the_reference() -> None:
    held = {(role, permission) for role, permissions in PERMISSIONS.items() for permission in permissions}

    assert held == {(role, permission) for permission, roles in WHO_MAY.items() for role in roles}


@pytest.mark.parametrize("role", sorted(ALL | {"unheard-of"}))
@pytest.mark.parametrize("mode", ["hybrid", "team"])
def test_every_route_admits_the_roles_that_hold_its_permission_and_no_other(mode: Mode, role: str) -> None:
    for route in (route for group in GROUPS for route in group.routes):
        target = "/".join("x" if part.startswith(":") else part for part in route.path.split("/")).encode()
        match = MATCHER.match(route.method, target)
        if match.route is not route and route.method != "ALL":
            continue  # shadowed: the request goes to another route
        refusal = check(head("GET" if route.method == "ALL" else route.method, target, bearer(role), peer=LAN), mode)
        admitted = route.needs is None or role in WHO_MAY[route.needs]
        assert (refusal is None) is admitted, (route, refusal)
        if refusal:
            assert (refusal.status, refusal.error) == (403, f"role '{role}' lacks '{route.needs}' permission")


@pytest.mark.parametrize(("role", "shown"), [(None, "null"), (5.0, "5"), (["agent"], "agent"), ({}, "[object Object]")])
def test_role_that_is_no_text_is_refused_as_its_text(role: object, shown: str) -> None:
    claims = Claims(sub="a", scope={}, role=None, iat=0, exp=0, raw={"role": role})
    request = head("PATCH", b"/api/memory/x")
    caller = replace(seen(edge("team"), request), claims=claims)
    match = MATCHER.match(request.method, request.target)
    refusal = Admission().check(request, caller, match, policy("team"), NOW_S)
    assert refusal is not None
    assert refusal.error == f"role '{shown}' lacks 'modify' permission"


def test_head_needs_the_permission_of_get() -> None:
    for target in (b"/api/memory/x", b"/api/config"):
        refusal = check(head("HEAD", target, bearer("unheard-of")))
        assert refusal is not None
        assert refusal.status == 403


def test_valid_token_binds_a_local_caller_to_its_role() -> None:
    refusal = check(head("POST", b"/api/config", bearer("readonly")), "hybrid")

    assert refusal is not None
    assert refusal.status == 403


# Rates


def passed(at: Admission, method: str, target: bytes, fields: dict[str, str], now_s: float, tries: int) -> int:
    """How many of so many requests at one moment were admitted."""
    return sum(check(head(method, target, fields), "hybrid", at, now_s) is None for _ in range(tries))


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("POST", b"/api/auth/token", 10),
        ("POST", b"/api/memory/modify", 60),
        ("PATCH", b"/api/memory/x", 60),
        ("POST", b"/api/memory/forget", 5),
        ("DELETE", b"/api/memory/x", 30),
        ("POST", b"/api/cross-agent/messages", 120),
    ],
)
def test_limiter_admits_legacys_number_in_a_window_that_starts_with_the_first_request(
    method: str, target: bytes, allowed: int
) -> None:
    at = Admission()

    assert passed(at, method, target, bearer("admin"), NOW_S, allowed - 1) == allowed - 1
    assert passed(at, method, target, bearer("admin"), NOW_S + 59.9, 3) == 1
    assert passed(at, method, target, bearer("admin"), NOW_S + 59.999, 1) == 0
    assert passed(at, method, target, bearer("admin"), NOW_S + 60, allowed + 1) == allowed


def test_clock_that_is_set_back_locks_nobody_out_and_one_set_forward_ends_the_window() -> None:
    at, forget, day_s = Admission(), b"/api/memory/forget", 86_400

    assert passed(at, "POST", forget, bearer("admin"), NOW_S, 6) == 5
    assert passed(at, "POST", forget, bearer("admin"), NOW_S - day_s, 6) == 5
    assert passed(at, "POST", forget, bearer("admin"), NOW_S + day_s, 6) == 5


def test_refusal_says_when_to_come_back() -> None:
    at = Admission()
    passed(at, "POST", b"/api/memory/forget", bearer("admin"), NOW_S, 5)

    refusal = check(head("POST", b"/api/memory/forget", bearer("admin")), "team", at, NOW_S + 1.5)

    assert refusal is not None
    reply = refusal.reply()
    assert (reply.status, dict(reply.headers)[b"retry-after"]) == (429, b"59")
    assert reply.body == b'{"error":"rate limit exceeded","retryAfter":1700000060000}'


def test_modify_and_patch_share_one_window_and_other_operations_have_their_own() -> None:
    at = Admission()

    assert passed(at, "POST", b"/api/memory/modify", bearer("admin"), NOW_S, 40) == 40
    assert passed(at, "PATCH", b"/api/memory/x", bearer("admin"), NOW_S, 40) == 20
    assert passed(at, "DELETE", b"/api/memory/x", bearer("admin"), NOW_S, 40) == 30


def test_windows_are_per_token_subject_else_per_actor_field_else_anonymous() -> None:
    at = Admission()
    anybody: dict[str, str] = {}
    ann, forget = {"x-signet-actor": "ann"}, b"/api/memory/forget"

    assert passed(at, "POST", forget, bearer("admin", sub="ann"), NOW_S, 6) == 5
    assert passed(at, "POST", forget, ann, NOW_S, 1) == 0  # the same name, as in legacy
    assert passed(at, "POST", forget, {**bearer("admin", sub="bob"), **ann}, NOW_S, 6) == 5
    assert passed(at, "POST", forget, anybody, NOW_S, 6) == 5
    assert passed(at, "POST", forget, {"x-signet-actor": "anonymous"}, NOW_S, 1) == 0


def test_token_without_a_subject_counts_for_the_actor_field() -> None:
    at, forget, ann = Admission(), b"/api/memory/forget", {"x-signet-actor": "ann"}
    claims = Claims(sub=None, scope={}, role="admin", iat=0, exp=math.inf, raw={})
    request = head("POST", forget, ann)
    caller = replace(seen(edge("team"), request), claims=claims)

    for _ in range(5):
        assert at.check(request, caller, MATCHER.match("POST", forget), policy("team"), NOW_S) is None
    assert passed(at, "POST", forget, ann, NOW_S, 1) == 0


@pytest.mark.parametrize(
    ("role", "named"), [(5.0, "5"), (None, "null"), (["admin"], "admin"), ({}, "[object Object]"), (True, "true")]
)
def test_role_that_is_no_text_has_no_permission_and_is_named_as_javascript_would(role: object, named: str) -> None:
    raw = {"sub": 7.0, "role": role}
    claims = Claims(sub=None, scope={}, role=role if isinstance(role, str) else None, iat=0, exp=math.inf, raw=raw)
    request = head("POST", b"/api/memory/forget")
    caller = replace(seen(edge("team"), request), claims=claims)

    refusal = Admission().check(request, caller, MATCHER.match("POST", request.target), policy("team"), NOW_S)

    assert refusal is not None
    assert (refusal.status, refusal.error) == (403, f"role '{named}' lacks 'forget' permission")


def test_subject_that_is_no_text_counts_by_its_text() -> None:
    at, forget = Admission(), b"/api/memory/forget"
    claims = Claims(sub=None, scope={}, role="admin", iat=0, exp=math.inf, raw={"sub": 7.0})
    request = head("POST", forget, {"x-signet-actor": "ann"})
    caller = replace(seen(edge("team"), request), claims=claims)

    for _ in range(5):
        assert at.check(request, caller, MATCHER.match("POST", forget), policy("team"), NOW_S) is None
    assert passed(at, "POST", forget, bearer("admin", sub="7"), NOW_S, 1) == 0
    assert passed(at, "POST", forget, {"x-signet-actor": "ann"}, NOW_S, 6) == 5


def test_request_without_permission_does_not_count_and_local_mode_has_no_limits() -> None:
    at = Admission()

    passed(at, "POST", b"/api/memory/forget", bearer("readonly", sub="ann"), NOW_S, 10)
    assert passed(at, "POST", b"/api/memory/forget", bearer("admin", sub="ann"), NOW_S, 5) == 5

    for _ in range(50):
        assert check(head("POST", b"/api/memory/forget"), "local", at) is None


def test_configured_limits_count() -> None:
    strict = AuthPolicy(mode="team", secret=SECRET, limits={"batchForget": Limit(window_ms=1_000, max=1)})
    request = head("POST", b"/api/memory/forget", bearer("admin"))
    at, match, caller = Admission(), MATCHER.match("POST", request.target), seen(edge("team"), request)

    assert at.check(request, caller, match, strict, NOW_S) is None
    assert at.check(request, caller, match, strict, NOW_S + 0.9) is not None
    assert at.check(request, caller, match, strict, NOW_S + 1) is None


def test_number_of_windows_is_bounded_and_the_newest_stay() -> None:
    at = Admission()
    match, forget = MATCHER.match("POST", b"/api/memory/forget"), b"/api/memory/forget"
    caller = seen(edge("hybrid"), head("POST", forget))
    for number in range(WINDOWS + 10):
        request = head("POST", forget, {"x-signet-actor": str(number)})
        assert at.check(request, caller, match, policy("hybrid"), NOW_S) is None

    assert len(at._windows) == WINDOWS
    assert passed(at, "POST", forget, {"x-signet-actor": str(WINDOWS + 9)}, NOW_S, 5) == 4
