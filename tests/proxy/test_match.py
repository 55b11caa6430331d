"""Raw targets against what a running Signet 0.58.1 made of them.

`recorded_targets.json` holds [method, target as latin-1, path as its router saw it, [route's method, path, params] or
null when no route of the table matched]. A difference here is a hole: the guard would judge another route than runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native_routes import GROUPS
from proxy.match import CACHE_ENTRIES, CACHED_TARGET_BYTES, Match, Matcher, decoded_path

RECORDED = json.loads(Path(__file__).with_name("recorded_targets.json").read_text())


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher(GROUPS)


def seen(match: Match) -> list[Any] | None:
    return [match.route.method, match.route.path, dict(match.params)] if match.route else None


def test_every_recorded_target_reaches_the_route_that_legacy_executes(matcher: Matcher) -> None:
    for method, target, path, route in RECORDED:
        match = matcher.match(method, target.encode("latin-1"))
        assert (match.path, seen(match)) == (path, route), (method, target)
    assert len(RECORDED) > 500
    assert len({(route[0], route[1]) for *_, route in RECORDED if route}) > 170


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/health", "/health"),
        (b"/he%61lth?x", "/health"),
        (b"/health#x?y", "/health"),
        (b"/x/../health", "/health"),
        (b"/x/%2E%2e/health", "/health"),
        (b"/x\\..\\health", "/health"),
        (b"/./health/.", "/health/"),
        (b"/../../health", "/health"),
        (b"//health", "//health"),
        (b"/HEALTH", "/HEALTH"),
        (b"/health/", "/health/"),
        (b"/api%2Fsecrets", "/api%2Fsecrets"),
        (b"/%2e%2e%2fhealth", "/..%2fhealth"),
        (b"/a%2525b", "/a%2525b"),
        (b"/a%25b", "/a%25b"),
        (b"/%zz%41", "/%zzA"),
        (b"/%41%FF", "/%41%FF"),
        (b"/%FFA", "/%FFA"),
        (b"/\xc3\xa9", "/é"),
        (b"/\xe9", "/\ufffd"),
        (b"/\xc3\xa9%FF", "/%C3%A9%FF"),
        (b'/"<>^`{}|[]', '/"<>^`{}|[]'),
        (b"/%ED%A0%80", "/%ED%A0%80"),
        (b"/%C0%AF", "/%C0%AF"),
        (b"/x%00y%0a", "/x\0y\n"),
        (b"http://any.example:81/health", "/health"),
        (b"http://[::1]\\health", "/health"),
        (b"https://any.example", "/"),
        (b"http://any.example:65535/health", "/health"),
        (b"http://any.example:/health", "/health"),
        (b"http://any.example#/health", "/"),
    ],
)
def test_path_is_normalised_as_legacys_adapter_and_router_do(target: bytes, path: str) -> None:
    assert decoded_path(target) == path


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"health",
        b"?x",
        b":80/health",
        b"@host/health",
        b"host:443",
        b"HTTP://host/health",
        b"http:/health",
        b"http:///health",
        b"http://user@host/health",
        b"http://host:65536/health",
        b"http://\xc3\xa9/health",
        b"http://a%41/health",
        b"ftp://host/health",
        b"/he\talth",
        b"/a b",
        b"/\x7f",
        b"/\x00",
    ],
)
def test_target_that_parsers_read_in_more_than_one_way_has_no_path(matcher: Matcher, target: bytes) -> None:
    match = matcher.match("GET", target)

    assert (match.path, match.route, match.group) == ("", None, None)


@pytest.mark.parametrize(
    ("segment", "value"),
    [
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("a+b", "a+b"),
        ("%zz", "%zz"),
        ("%FF", "%FF"),
        ("x%00y", "x\0y"),
        ("%E4%BD%A0", "你"),
        ("a%3Fb", "a?b"),
        ("%20", " "),
        ("%25", "%"),
        (":id", ":id"),
    ],
)
def test_parameter_is_decoded_once_more_with_malformed_escapes_left(matcher: Matcher, segment: str, value: str) -> None:
    match = matcher.match("GET", f"/api/memory/{segment}".encode())

    assert dict(match.params) == {"id": value}


def test_head_is_matched_as_get_and_every_method_reaches_mcp(matcher: Matcher) -> None:
    assert matcher.match("HEAD", b"/api/memories") == matcher.match("GET", b"/api/memories")
    for method in ("GET", "POST", "DELETE", "HEAD", "PROPFIND"):
        route = matcher.match(method, b"/mcp?harness=x").route
        assert route is not None
        assert route.method == "ALL"


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", b"/"), ("GET", b"/api/memory/"), ("PUT", b"/api/memories"), ("GET", b"/api/memory//history")],
)
def test_path_outside_the_table_keeps_its_path_and_has_no_route(matcher: Matcher, method: str, target: bytes) -> None:
    match = matcher.match(method, target)

    assert match.path == target.decode()
    assert match.route is None


def test_group_of_the_route_is_named(matcher: Matcher) -> None:
    group = matcher.match("POST", b"/api/memory/recall").group

    assert group is not None
    assert group.name == "recall"


def test_remembered_answers_stay_right_when_the_cache_overflows() -> None:
    matcher = Matcher(GROUPS)
    for number in range(2 * CACHE_ENTRIES):
        target = f"/api/memory/{number}"
        assert matcher.match("GET", target.encode()).params == {"id": str(number)}
    long = "x" * 10_000
    for _ in range(2):
        assert matcher.match("GET", f"/api/memory/{long}".encode()).params == {"id": long}
        assert matcher.match("DELETE", b"/api/memory/7").route != matcher.match("GET", b"/api/memory/7").route


def test_repeated_target_is_answered_from_a_memory_that_is_bounded_and_keeps_no_long_ones() -> None:
    matcher = Matcher(GROUPS)
    assert matcher.match("GET", b"/api/memory/7?a") is matcher.match("GET", b"/api/memory/7?b")
    longest = b"/api/memory/" + b"x" * (CACHED_TARGET_BYTES - len(b"/api/memory/"))
    assert matcher.match("GET", longest) is matcher.match("GET", longest)
    assert matcher.match("GET", longest + b"x") is not matcher.match("GET", longest + b"x")

    for number in range(CACHE_ENTRIES + 100):
        matcher.match("GET", b"/api/memory/%d" % number)
        assert len(matcher._seen) <= CACHE_ENTRIES


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_path_or_none_and_never_an_error(target: bytes) -> None:
    for candidate in (target, b"/" + target, b"/api/memory/" + target):
        match = Matcher(GROUPS[:5]).match("GET", candidate)
        assert match.path == "" or match.path.startswith("/")
