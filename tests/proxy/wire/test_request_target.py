"""The request target reaches legacy as it was sent. Source: RFC 9112 §3, DESIGN section 4 "Bytes"."""

from __future__ import annotations

import pytest

from tests.proxy.wire.upstream import OK
from tests.proxy.wire.wire import Wire, get, message

UNTOUCHED = [
    b"/",
    b"/a%2Fb",
    b"//a//b",
    b"/a/../b",
    b"/a/./b/.",
    b"/%2e%2e/a",
    b"/..",
    b"/a?",
    b"/a??",
    b"/?a=1&a=2&&b",
    b"/a?q=/../?x=//",
    b"/a;v=1/b;w",
    b"/%c3%A9/%C3%a9",
    b"/100%/%zz",
    b"/a%00b%0d%0a",
    b"/a+b,c!$'()*:@&=~-._",
    b"/api/memory/%E4%BD%A0%E5%A5%BD",
    b"/http://localhost/a",
]
UNUSUAL = [
    b"/a[b]",
    b"/a|b",
    b'/a"b"',
    b"/a<b>",
    b"/a\\b",
    b"/a^b`{c}",
    b"/\xc3\xa9",
    b"/\xe9?\xff",
    b"/a#fragment",
    b"/a?b#c?d",
]


@pytest.mark.parametrize("target", UNTOUCHED)
def test_target_reaches_legacy_byte_for_byte(wire: Wire, target: bytes) -> None:
    received, reply = wire.forward(get(target))
    assert received.target == target
    assert reply.status == 200


@pytest.mark.parametrize("target", UNUSUAL)
def test_unusual_bytes_in_a_target_are_forwarded_as_they_are_or_refused(wire: Wire, target: bytes) -> None:
    received = wire.forwarded_or_refused(get(target), {400})
    assert received is None or received.target == target


def test_unusual_target_behind_another_request_is_forwarded_as_it_is_or_refused(wire: Wire) -> None:
    client = wire.client()
    received, _ = wire.forward(get(b"/\xe9"), client=client)
    assert received.target == b"/\xe9"
    client.send(get(b"/plain") + get(b"/\xe8"))
    first = wire.upstream_for(client)
    assert first.read_request().target == b"/plain"
    first.send(OK)
    assert client.read_reply().status == 200
    wire.upstream.release(first)
    if wire.upstream.got_nothing_for(0.2):
        assert client.read_reply().status == 400
    else:
        assert wire.upstream.newest_held().read_request().target == b"/\xe8"


@pytest.mark.parametrize("target", [b"/a b", b"/a\tb", b"/a\x01b", b"/a\x7fb", b"/a\x00b", b"/a\rb", b"a", b"", b"?a"])
def test_target_that_breaks_the_request_line_is_refused(wire: Wire, target: bytes) -> None:
    wire.refused(get(target))


def test_target_of_15000_bytes_passes(wire: Wire) -> None:
    target = b"/" + b"x" * 15_000
    received, _ = wire.forward(get(target))
    assert received.target == target


def test_target_beyond_16_kib_is_refused(wire: Wire) -> None:
    wire.refused(get(b"/" + b"x" * 20_000), {414, 431})


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"http://localhost/a/../b?x", b"/a/../b?x"),
        (b"http://localhost/a?", b"/a?"),
        (b"http://localhost", b"/"),
        (b"http://localhost?q", b"/?q"),
        (b"HTTP://localhost/A%2f", b"/A%2f"),
        (b"http://localhost//a", b"//a"),
    ],
)
def test_absolute_form_reaches_legacy_in_origin_form(wire: Wire, target: bytes, expected: bytes) -> None:
    received, _ = wire.forward(get(target))
    assert received.target == expected
    assert received.values(b"host") == [b"localhost"]


def test_authority_of_an_absolute_form_replaces_host(wire: Wire) -> None:
    received = wire.forwarded_or_refused(get(b"http://127.0.0.1:3850/a"), {400})
    assert received is None or received.values(b"host") == [b"127.0.0.1:3850"]


def test_foreign_authority_of_an_absolute_form_is_refused_whatever_host_says(wire: Wire) -> None:
    wire.refused(get(b"http://evil.example/a"), {400, 403})


@pytest.mark.parametrize(
    "target", [b"http:///a", b"http://", b"http://user@localhost/a", b"ftp://localhost/a", b"http:/a"]
)
def test_malformed_absolute_form_is_refused(wire: Wire, target: bytes) -> None:
    wire.refused(get(target), {400, 403})


def test_options_for_the_whole_server_keeps_its_asterisk_or_is_answered_by_the_proxy(wire: Wire) -> None:
    request = message(b"OPTIONS * HTTP/1.1", b"Host: localhost")
    client = wire.client()
    client.send(request)
    if not wire.upstream.got_nothing_for(0.3):
        assert wire.upstream.newest_held().read_request().target == b"*"
    else:
        assert client.read_reply().status in {200, 204, 400, 404}


def test_asterisk_with_another_method_is_refused(wire: Wire) -> None:
    wire.refused(get(b"*"))
