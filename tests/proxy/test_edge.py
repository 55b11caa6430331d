"""Who is local, which Host and Origin pass, what is forwarded about the way a request came."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time

import pytest

from native_routes.agent_yaml import AuthPolicy, Mode
from native_routes.reply import Refusal
from native_routes.tokens import mint
from proxy.edge import CACHE_ENTRIES, Edge
from proxy.head import Head
from proxy.settings import Settings
from tests.proxy.callers import LAN, LOOPBACK, SECRET, bearer, edge, head, policy, seen

MODES: tuple[Mode, ...] = ("local", "hybrid", "team")
SETTINGS = Settings.from_env({"HOME": "/nowhere"})
ANY = ((b"access-control-allow-origin", b"*"),)


def refused(edge: Edge, request: Head, status: int, *words: str) -> Refusal:
    verdict = edge.look(request)
    assert isinstance(verdict, Refusal), verdict
    assert verdict.status == status
    for word in words:
        assert word in verdict.error
    return verdict


# Locality


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1234", "LOCALHOST", "LocalHost:3850", "127.0.0.1", "[::1]:3850"]
)
def test_loopback_peer_with_a_local_host_is_local(peer: str, host: str) -> None:
    assert seen(edge("hybrid"), head(host=host, peer=peer)).local


@pytest.mark.parametrize("peer", [LAN, "::ffff:192.168.1.20", "fe80::1%eth0", "2001:db8::1", None, "/run/socket"])
def test_other_peer_is_never_local_whatever_its_host_says(peer: str | None) -> None:
    assert not seen(edge("hybrid"), head(peer=peer)).local


@pytest.mark.parametrize(
    "name", ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-host", "x-forwarded-new"]
)
def test_loopback_peer_that_forwards_for_another_is_not_local(name: str) -> None:
    assert not seen(edge("hybrid"), head(fields={name: "127.0.0.1"})).local
    assert not seen(edge("hybrid", SIGNET_TRUSTED_PROXIES="127.0.0.1"), head(fields={name: "127.0.0.1"})).local


@pytest.mark.parametrize("host", ["mem.example", "", "0.0.0.0", "localhost.", "localhost.evil.example", "127.0.0.2"])
def test_host_that_is_not_local_by_name_is_not_local(host: str) -> None:
    assert not seen(edge("hybrid", SIGNET_ALLOWED_HOSTS="*"), head(host=host)).local


def test_allowed_host_passes_the_host_rule_and_stays_not_local() -> None:
    caller = seen(edge("hybrid", SIGNET_ALLOWED_HOSTS="mem.example"), head(host="Mem.Example:3850"))

    assert not caller.local


def test_peer_address_in_ipv6_clothing_is_told_as_ipv4() -> None:
    assert seen(edge(), head(peer="::ffff:127.0.0.1")).address == "127.0.0.1"


# Host


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3850", "localhost.evil.example", "127.0.0.1.nip.io", "[::2]"]
)
@pytest.mark.parametrize(("mode", "fix"), [("local", "SIGNET_ALLOWED_HOSTS"), ("hybrid", "call localhost")])
def test_foreign_host_is_refused_where_no_token_is_needed(mode: Mode, fix: str, host: str) -> None:
    refusal = refused(edge(mode), head(host=host), 403, repr(host), fix, "send a token")

    assert refusal.headers == ()


def test_hybrid_does_not_offer_an_allowed_host_which_would_still_be_asked_for_a_token() -> None:
    assert "SIGNET_ALLOWED_HOSTS" not in refused(edge("hybrid"), head(host="mem.example"), 403).error


def test_refusal_offers_no_token_where_there_is_no_secret() -> None:
    tokenless = Edge(SETTINGS, AuthPolicy())

    assert "token" not in refused(tokenless, head(host="evil.example"), 403).error


@pytest.mark.parametrize("host", ["evil.example", "mem.example:80"])
def test_host_does_not_matter_to_a_verified_token_nor_in_team_mode(host: str) -> None:
    for mode in MODES:
        seen(edge(mode), head(host=host, fields=bearer("readonly")))
    seen(edge("team"), head(host=host))


def test_host_does_not_matter_to_a_remote_caller_in_hybrid_mode_who_needs_a_token_anyway() -> None:
    seen(edge("hybrid"), head(host="mem.example", peer=LAN))
    seen(edge("hybrid"), head(host="mem.example", fields={"x-forwarded-for": "192.0.2.1"}))


def test_request_without_a_host_passes_and_is_not_local() -> None:
    for host in (None, ""):
        assert not seen(edge("local"), head(host=host)).local


@pytest.mark.parametrize("allowed", ["*", "mem.example", "MEM.example,other.example", "mem.example:81"])
def test_allowed_hosts_pass_in_local_mode(allowed: str) -> None:
    seen(edge("local", SIGNET_ALLOWED_HOSTS=allowed), head(host="mem.EXAMPLE:81"))


# A running Signet 0.58.1 executed another path than the target's for the first five: its adapter joins Host and target.
@pytest.mark.parametrize(
    "host",
    [
        "127.1/api",
        "0x7f.1/ab",
        "127.1?abc",
        "127.1#abc",
        "127.1\\api",
        "1/api/x",
        "a@localhost",
        "localhost:3850:1",
        "localhost:port",
        "local host",
        "[::1",
        "[::1]x",
        "[::1%25lo]",
        "a%41",
        "xn--\xfc",
        "localhost, localhost",
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_host_that_could_become_part_of_the_path_is_refused_even_with_a_token(mode: Mode, host: str) -> None:
    for fields in ({}, bearer("admin")):
        refused(edge(mode, SIGNET_ALLOWED_HOSTS="*"), head(host=host, fields=fields), 400, "no host name")


# Origin and CORS

OWN_ORIGINS = [
    "http://localhost:3850",
    "https://127.0.0.1",
    "http://[::1]:5173",
    "http://LOCALHOST:1",
    "app://signet",
    "tauri://localhost",
    "http://tauri.localhost",
    "chrome-extension://abcdefghijklmnop",
    "moz-extension://0f0f-11",
]
FOREIGN_ORIGINS = [
    "null",
    "https://evil.example",
    "http://localhost.evil.example",
    "http://evil.example/localhost",
    "http://127.0.0.1.nip.io",
    "http://127.0.0.2",
    "app://signet.evil",
    "tauri://localhost:1",
    "chrome-extension://",
    "chrome-extension://a/b",
    "file://localhost",
    "http://localhost:3850, http://evil.example",
    "http://localhost:3850@evil.example",
    "http://sub.localhost",
]


@pytest.mark.parametrize("origin", OWN_ORIGINS)
def test_own_origin_passes_and_is_echoed(origin: str) -> None:
    caller = seen(edge(), head(fields={"origin": origin}))

    assert caller.grant == ((b"access-control-allow-origin", origin.encode()), (b"vary", b"Origin"))


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("mode", MODES)
def test_foreign_origin_is_refused_without_a_grant_for_every_method(mode: Mode, method: str, origin: str) -> None:
    refusal = refused(edge(mode), head(method=method, fields={"origin": origin}), 403, "SIGNET_ALLOWED_ORIGINS")

    assert refusal.headers == ()


def test_origin_with_the_authority_of_the_host_passes_whatever_its_scheme() -> None:
    for origin in ("http://mem.example", "https://MEM.example"):
        seen(edge("team"), head(host="mem.example", fields={"origin": origin}))
    refused(edge("team"), head(host="mem.example", fields={"origin": "https://mem.example:444"}), 403)


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_verified_token_lifts_the_origin_rule(origin: str) -> None:
    for mode in MODES:
        caller = seen(edge(mode), head(fields={"origin": origin, **bearer("readonly")}))
        assert caller.grant[0] == (b"access-control-allow-origin", origin.encode())


@pytest.mark.parametrize("fields", [{"authorization": "Bearer a.b"}, bearer("admin", ttl_s=1)])
def test_bad_and_expired_tokens_lift_nothing(fields: dict[str, str]) -> None:
    for mode in MODES:
        refused(edge(mode), head(fields={"origin": "https://evil.example", **fields}), 403, "Origin")
    refused(edge("local"), head(host="evil.example", fields=fields), 403, "Host")


def test_allowed_origins_pass_and_a_star_grants_what_legacy_grants() -> None:
    listed = edge(SIGNET_ALLOWED_ORIGINS="https://Notes.example, https://b.example")
    assert seen(listed, head(fields={"origin": "https://notes.example"})).grant[0][1] == b"https://notes.example"
    refused(listed, head(fields={"origin": "https://c.example"}), 403)

    assert seen(edge(SIGNET_ALLOWED_ORIGINS="*"), head(fields={"origin": "https://evil.example"})).grant == ANY


def test_reply_without_an_origin_grants_what_legacy_grants() -> None:
    assert seen(edge(), head()).grant == ANY
    assert seen(edge(), head(fields={"origin": ""})).grant == ANY


def test_preflight_without_an_origin_is_legacys_reply() -> None:
    request = head("OPTIONS", b"/no/such/path", {"access-control-request-headers": "authorization , x-a,x-b"})
    at = edge()

    reply = at.preflight(request, seen(at, request))

    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers == (
        (b"access-control-allow-headers", b"authorization,x-a,x-b"),
        (b"access-control-allow-methods", b"GET,HEAD,PUT,POST,DELETE,PATCH"),
        (b"access-control-allow-origin", b"*"),
        (b"vary", b"Access-Control-Request-Headers"),
        (b"content-type", b"text/plain; charset=UTF-8"),
    )


def test_preflight_of_an_own_origin_echoes_it_and_varies_by_it() -> None:
    origin = "http://localhost:5173"
    both = b"Origin, Access-Control-Request-Headers"
    for asked, vary in (({}, b"Origin"), ({"access-control-request-headers": "x"}, both)):
        request = head("OPTIONS", fields={"origin": origin, **asked})
        at = edge()
        fields = at.preflight(request, seen(at, request)).headers
        assert dict(fields)[b"access-control-allow-origin"] == origin.encode()
        assert [value for name, value in fields if name == b"vary"] == [vary]


# What is forwarded


def test_plain_request_is_forwarded_with_nothing_added_and_only_our_override_dropped() -> None:
    caller = seen(edge(), head())

    assert caller.add == ()
    assert caller.drop == {b"x-signet-route"}


FORWARDING = {
    "x-forwarded-for": "10.0.0.9",
    "x-forwarded-host": "mem.example",
    "x-forwarded-proto": "https",
    "x-forwarded-anything": "x",
    "forwarded": "for=10.0.0.9",
    "x-real-ip": "10.0.0.9",
}


@pytest.mark.parametrize("peer", [LOOPBACK, LAN, "::1"])
def test_forwarding_fields_of_an_untrusted_peer_are_replaced_by_its_address(peer: str) -> None:
    caller = seen(edge("team"), head(fields=FORWARDING, peer=peer))

    assert caller.drop == {name.encode() for name in FORWARDING} | {b"x-signet-route"}
    assert caller.add == ((b"x-forwarded-for", peer.encode()),)
    assert caller.address == peer


def test_via_alone_is_left_in_place() -> None:
    caller = seen(edge("team"), head(fields={"via": "1.1 nginx"}))

    assert caller.drop == {b"x-signet-route"}
    assert caller.add == ()


def test_forwarding_fields_of_a_trusted_proxy_are_kept_and_the_chain_continued() -> None:
    caller = seen(edge("team", SIGNET_TRUSTED_PROXIES="192.168.1.0/24"), head(fields=FORWARDING, peer=LAN))

    assert caller.drop == {b"x-signet-route", b"x-forwarded-for", b"forwarded"}
    assert caller.add == (
        (b"x-forwarded-for", b"10.0.0.9, 192.168.1.20"),
        (b"forwarded", b"for=10.0.0.9, for=192.168.1.20"),
    )
    assert caller.address == "10.0.0.9"


def test_trusted_ipv6_proxy_is_quoted_in_forwarded() -> None:
    caller = seen(edge("team", SIGNET_TRUSTED_PROXIES="::1"), head(fields={"forwarded": "for=a"}, peer="::1"))

    assert caller.add == ((b"forwarded", b'for=a, for="[::1]"'),)


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("1.1.1.1, 203.0.113.5, 192.168.1.7", "203.0.113.5"),
        ("192.168.1.7, 192.168.1.8", "192.168.1.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("unknown", LAN),
        ("203.0.113.5, garbage", LAN),
        (",", LAN),
    ],
)
def test_client_address_is_the_last_that_no_trusted_proxy_added(chain: str, address: str) -> None:
    trusting = edge("team", SIGNET_TRUSTED_PROXIES="192.168.1.0/24")

    assert seen(trusting, head(fields={"x-forwarded-for": chain}, peer=LAN)).address == address


def test_local_caller_whose_host_legacy_would_not_know_as_local_is_forwarded_with_one_that_it_knows() -> None:
    hosts = {"[::1]:3850": True, "LOCALHOST:3850": True, "localhost:1": False, "127.0.0.1": False}
    for host, replaced in hosts.items():
        caller = seen(edge("hybrid", SIGNET_PORT="4000"), head(host=host))
        assert (caller.add == ((b"host", b"localhost:4000"),)) is replaced
        assert (b"host" in caller.drop) is replaced


@pytest.mark.parametrize(
    ("mode", "fields", "peer"),
    [("local", {}, "::1"), ("hybrid", bearer("readonly"), "::1"), ("hybrid", {}, LAN), ("team", {}, "::1")],
)
def test_host_of_everybody_else_is_preserved(mode: Mode, fields: dict[str, str], peer: str) -> None:
    caller = seen(edge(mode), head(host="[::1]:3850", fields=fields, peer=peer))

    assert b"host" not in caller.drop


# Tokens and memory


@pytest.mark.parametrize(("mode", "role"), [("team", "agent"), ("hybrid", "agent"), ("local", None)])
def test_claims_are_seen_except_in_local_mode_where_legacy_has_none(mode: Mode, role: str | None) -> None:
    caller = seen(edge(mode), head(fields=bearer("agent")))

    assert (caller.claims.role if caller.claims else None) == role


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "authentication required"),
        ({"authorization": "Basic x"}, "authentication required"),
        ({"authorization": "Bearer x"}, "malformed token"),
        ({"authorization": "Bearer x.y"}, "invalid signature"),
        (bearer("admin", ttl_s=1), "token expired"),
        (bearer("admin"), None),
    ],
)
def test_reason_for_a_missing_or_bad_token_is_legacys(fields: dict[str, str], reason: str | None) -> None:
    assert seen(edge("team"), head(fields=fields)).bad_token == reason


def test_token_without_a_secret_to_check_it_against_is_not_believed() -> None:
    caller = seen(Edge(SETTINGS, AuthPolicy(mode="team")), head(fields=bearer("admin")))

    assert (caller.claims, caller.bad_token) == (None, "auth secret not configured")


def test_new_policy_counts_at_once_also_for_callers_seen_before() -> None:
    at = edge("team")
    request = head(host="evil.example")
    seen(at, request)

    at.auth = policy("local")

    assert isinstance(at.look(request), Refusal)
    assert at.auth.mode == "local"


def test_what_was_remembered_about_one_caller_is_never_told_another() -> None:
    at = edge("hybrid")
    peers, hosts = (LOOPBACK, LAN), ("localhost", "evil.example")
    origins: tuple[dict[str, str], ...] = ({}, {"origin": "http://evil.example"})
    requests = [
        head(host=host, peer=peer, fields={**origin, **extra})
        for peer, host, origin, extra in itertools.product(peers, hosts, origins, ({}, bearer("admin"), {"via": "x"}))
    ]
    for request in requests * 2:
        fresh, remembered = edge("hybrid").look(request), at.look(request)
        assert type(fresh) is type(remembered)
        if not isinstance(fresh, Refusal):
            assert fresh == remembered


def test_memory_of_callers_is_bounded_and_keeps_neither_bad_tokens_nor_long_fields() -> None:
    at = edge("team")
    first, second = head(host="a.example"), head(host="b.example", fields=bearer("admin"))
    callers = at.look(first), at.look(second)
    assert (at.look(first), at.look(second)) == callers
    assert at.look(first) is callers[0]
    assert at.look(second) is callers[1]

    for forgotten in (head(host="a" * 2000), head(fields={"authorization": "Bearer a.b"}), head(fields={"via": "x"})):
        assert at.look(forgotten) is not at.look(forgotten)
    for number in range(CACHE_ENTRIES + 100):
        seen(at, head(host=f"h{number}.example"))
        assert len(at._seen) <= CACHE_ENTRIES


def test_proxy_package_is_never_imported_by_the_native_routes() -> None:
    code = "import sys, native_routes.agent_yaml; print([name for name in sys.modules if name.startswith('proxy')])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_remembered_token_is_refused_once_it_expires() -> None:
    at = edge("team")
    now_s = time.time()
    brief = mint(SECRET, sub="a", role="admin", ttl_s=now_s % 1 + 0.3, now_s=now_s)  # seconds count from the whole one
    request = head(fields={"authorization": f"Bearer {brief}"})
    assert at.look(request) is at.look(request)

    while seen(at, request).claims is not None:
        assert time.time() < now_s + 5

    assert time.time() > now_s + 0.3
    assert seen(at, request).bad_token == "token expired"


def test_remembered_token_does_not_vouch_for_another_one() -> None:
    at = edge("team")
    good = bearer("admin")
    seen(at, head(fields=good))

    for authorization in (good["authorization"] + "A", good["authorization"][:-3], "Bearer", ""):
        assert seen(at, head(fields={"authorization": authorization})).claims is None
