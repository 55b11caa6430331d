"""Fields that speak to the next hop only stay on their side. Source: RFC 9110 §7.6.1, DESIGN section 4."""

from __future__ import annotations

import pytest

from tests.proxy.wire.wire import LAST_CHUNK, SERVED_BY, Wire, chunked_post, chunks, get, message, ok, post

HOP_BY_HOP = [
    b"Connection: keep-alive",
    b"Keep-Alive: timeout=5, max=100",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authenticate: Basic realm=x",
    b"Proxy-Authorization: Basic eDp5",
    b"TE: gzip, deflate",
    b"Upgrade: h2c",
]


@pytest.mark.parametrize("line", HOP_BY_HOP)
def test_hop_by_hop_field_of_a_request_stays_here(wire: Wire, line: bytes) -> None:
    received, _ = wire.forward(get(b"/api/wire", b"X-Before: 1", line, b"X-After: 2"))
    assert received.lower_fields() == [(b"host", b"localhost"), (b"x-before", b"1"), (b"x-after", b"2")]


@pytest.mark.parametrize("line", [*HOP_BY_HOP[1:5], b"Connection: close", b"Upgrade: h2c, websocket"])
def test_hop_by_hop_field_of_a_reply_stays_there(wire: Wire, line: bytes) -> None:
    reply = wire.forward_reply(ok(b"X-Before: 1", line, b"X-After: 2"))
    assert [f for f in reply.lower_fields() if f[0] not in {SERVED_BY, b"content-length"}] == [
        (b"x-before", b"1"),
        (b"x-after", b"2"),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        [b"Connection: x-one, x-two"],
        [b"Connection: X-ONE,X-Two"],
        [b"Connection: x-one", b"Connection: x-two"],
        [b"Connection: keep-alive ,, x-one ,\tx-two,"],
        [b"Connection: x-one, keep-alive", b"connection: x-two, x-absent"],
    ],
)
def test_fields_named_by_connection_are_removed_both_ways(wire: Wire, lines: list[bytes]) -> None:
    fields = [b"X-One: 1", *lines, b"X-Two: 2", b"x-two: 2", b"X-Three: 3"]
    received, reply = wire.forward(get(b"/api/wire", *fields), ok(*fields))
    assert received.lower_fields() == [(b"host", b"localhost"), (b"x-three", b"3")]
    assert [name for name, _ in reply.lower_fields() if name.startswith(b"x-") and name != SERVED_BY] == [b"x-three"]
    assert reply.value(b"connection") is None


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"Authorization",
        b"cookie",
        b"host",
        b"content-length",
        b"content-type",
        b"origin",
        b"x-forwarded-for",
    ],
)
@pytest.mark.parametrize(
    "connection", [b"Connection: %b", b"Connection: close, %b", b"Connection: keep-alive\r\nConnection: %b"]
)
def test_connection_that_names_an_end_to_end_field_is_refused(wire: Wire, name: bytes, connection: bytes) -> None:
    fields = (b"Authorization: Bearer x", b"Cookie: a=1", b"Content-Type: text/plain", b"Origin: http://localhost")
    wire.refused(post(b"x", *fields, connection % name))


def test_connection_that_names_transfer_encoding_does_not_unframe_the_body(wire: Wire) -> None:
    received = wire.forwarded_or_refused(
        chunked_post(chunks(b"x") + LAST_CHUNK, b"Connection: transfer-encoding"), {400}
    )
    assert received is None or received.body == b"x"


@pytest.mark.parametrize("named", [b"content-length", b"transfer-encoding"])
def test_reply_that_names_its_framing_in_connection_keeps_its_body(wire: Wire, named: bytes) -> None:
    reply = wire.forward_reply(ok(b"Connection: " + named, body=b"hello"))
    assert reply.body == b"hello"


def test_te_trailers_may_pass_but_nothing_else_of_te_does(wire: Wire) -> None:
    received, _ = wire.forward(get(b"/api/wire", b"TE: trailers, gzip;q=0.5", b"Connection: TE"))
    assert received.value(b"te") in {None, b"trailers"}


def test_upgrade_without_connection_upgrade_is_an_ordinary_request(wire: Wire) -> None:
    received, reply = wire.forward(get(b"/api/wire", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"))
    assert received.value(b"upgrade") is None
    assert received.value(b"connection") is None
    assert reply.status == 200


def test_connection_upgrade_without_upgrade_is_an_ordinary_request(wire: Wire) -> None:
    received, reply = wire.forward(get(b"/api/wire", b"Connection: Upgrade"))
    assert received.value(b"connection") is None
    assert reply.status == 200


def test_via_and_forwarded_are_not_added_to_a_reply(wire: Wire) -> None:
    _, reply = wire.forward(get(), ok())
    assert {b"via", b"forwarded", b"server", b"date"}.isdisjoint(name for name, _ in reply.lower_fields())


def test_options_reply_keeps_allow(wire: Wire) -> None:
    _, reply = wire.forward(message(b"PROPFIND /api/wire HTTP/1.1", b"Host: localhost"), ok(b"Allow: GET, HEAD"))
    assert reply.value(b"allow") == b"GET, HEAD"
