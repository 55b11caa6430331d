"""WebSockets are tunnelled: after the 101 every byte passes both ways until a side ends. Source: RFC 9110 §7.8."""

from __future__ import annotations

import random

import pytest

from tests.proxy.wire.client import Client
from tests.proxy.wire.http1 import Ended
from tests.proxy.wire.upstream import OK, UpstreamConnection
from tests.proxy.wire.wire import SERVED_BY, Wire, assert_gateway_error, get, message, ok, seconds_until_closed

FIELDS = (
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)
HANDSHAKE = get(b"/ws", *FIELDS)
SWITCHED = message(
    b"HTTP/1.1 101 Switching Protocols",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
)


def open_tunnel(wire: Wire) -> tuple[Client, UpstreamConnection]:
    client, upstream = wire.ask(HANDSHAKE)
    upstream.read_request_head()
    upstream.send(SWITCHED)
    assert client.read_reply_head().status == 101
    return client, upstream


def test_handshake_passes_both_ways(wire: Wire) -> None:
    client, upstream = wire.ask(HANDSHAKE)
    received = upstream.read_request_head()
    assert received.target == b"/ws"
    assert (received.value(b"upgrade") or b"").lower() == b"websocket"
    assert (received.value(b"connection") or b"").lower() == b"upgrade"
    assert received.value(b"sec-websocket-key") == b"dGhlIHNhbXBsZSBub25jZQ=="
    upstream.send(SWITCHED)
    head = client.read_reply_head()
    assert (head.status, head.reason) == (101, b"Switching Protocols")
    assert (head.value(b"upgrade") or b"").lower() == b"websocket"
    assert (head.value(b"connection") or b"").lower() == b"upgrade"
    assert head.value(b"sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "connection", [b"Connection: upgrade", b"Connection: keep-alive, Upgrade", b"connection: UPGRADE"]
)
def test_handshake_is_understood_in_any_spelling(wire: Wire, connection: bytes) -> None:
    client, upstream = wire.ask(get(b"/ws", b"upgrade: WebSocket", connection, *FIELDS[2:]))
    assert (upstream.read_request_head().value(b"upgrade") or b"").lower() == b"websocket"
    upstream.send(SWITCHED)
    assert client.read_reply_head().status == 101


def test_bytes_pass_both_ways(wire: Wire) -> None:
    client, upstream = open_tunnel(wire)
    for data in (b"\x81\x05hello", bytes(range(256)), b"GET / HTTP/1.1\r\n\r\n", b"0\r\n\r\n"):
        client.send(data)
        assert upstream.read_exactly(len(data)) == data
        upstream.send(data[::-1])
        assert client.read_exactly(len(data)) == data[::-1]


def test_bytes_right_behind_the_101_arrive(wire: Wire) -> None:
    client, upstream = wire.ask(HANDSHAKE)
    upstream.read_request_head()
    upstream.send(SWITCHED + b"\x81\x02hi")
    assert client.read_reply_head().status == 101
    assert client.read_exactly(4) == b"\x81\x02hi"


def test_bytes_right_behind_the_handshake_arrive(wire: Wire) -> None:
    client, upstream = wire.ask(HANDSHAKE + b"\x81\x85early")
    upstream.read_request_head()
    upstream.send(SWITCHED)
    assert client.read_reply_head().status == 101
    assert upstream.read_exactly(7) == b"\x81\x85early"


def test_bytes_behind_the_handshake_are_no_request_when_it_is_refused(wire: Wire) -> None:
    client, upstream = wire.ask(HANDSHAKE + b"\x81\x85early\r\n\r\n")
    upstream.read_request_head()
    upstream.send(message(b"HTTP/1.1 403 No", b"Content-Length: 0"))
    assert client.read_reply().status == 403
    assert wire.upstream.got_nothing_for(0.1)


def test_megabytes_pass_both_ways_at_once(wire: Wire) -> None:
    data = random.Random(3).randbytes(3_000_000)
    client, upstream = open_tunnel(wire)
    up, down = client.send_in_background(data), upstream.send_in_background(data[::-1])
    assert upstream.read_exactly(len(data)) == data
    assert client.read_exactly(len(data)) == data[::-1]
    up.finish()
    down.finish()


def test_tunnel_to_a_slow_reader_is_not_stored(wire: Wire) -> None:
    client, upstream = open_tunnel(wire)
    sending = upstream.send_in_background(bytes(60_000_000))
    assert sending.stalls() < 16_000_000
    client.reset()
    sending.finish()


def test_tunnel_to_a_slow_legacy_is_not_stored(wire: Wire) -> None:
    client, _upstream = open_tunnel(wire)
    assert client.send_in_background(bytes(60_000_000)).stalls() < 16_000_000


@pytest.mark.parametrize("how", ["close", "reset"])
def test_end_of_the_client_ends_the_upstream(wire: Wire, how: str) -> None:
    client, upstream = open_tunnel(wire)
    client.close() if how == "close" else client.reset()
    seconds_until_closed(upstream, 1)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_end_of_the_upstream_ends_the_client(wire: Wire, how: str) -> None:
    client, upstream = open_tunnel(wire)
    upstream.close() if how == "close" else upstream.reset()
    seconds_until_closed(client, 1)


def test_last_bytes_before_an_end_arrive(wire: Wire) -> None:
    client, upstream = open_tunnel(wire)
    upstream.send(b"\x88\x00" * 1000)
    upstream.finish_sending()
    assert client.read_exactly(2000) == b"\x88\x00" * 1000
    assert client.ends_within(1)


def test_silent_tunnel_stays_open(wire: Wire) -> None:
    client, upstream = open_tunnel(wire)
    assert client.silent_for(0.5)
    client.send(b"still here")
    assert upstream.read_exactly(10) == b"still here"


@pytest.mark.parametrize("status", [200, 400, 403, 404, 426])
def test_refused_handshake_is_an_ordinary_reply(wire: Wire, status: int) -> None:
    client = wire.client()
    refusal = message(b"HTTP/1.1 %d No" % status, b"Content-Length: 2", b"X-A: b") + b"no"
    _, reply = wire.forward(HANDSHAKE, refusal, client=client)
    assert (reply.status, reply.body, reply.value(b"x-a")) == (status, b"no", b"b")
    assert reply.value(SERVED_BY) == b"legacy"
    received = wire.reaches_legacy_or_ends(client, get(b"/api/next"))
    assert received is None or received.target == b"/api/next"


def test_early_hints_come_before_the_switch(wire: Wire) -> None:
    client, upstream = wire.ask(HANDSHAKE)
    upstream.read_request_head()
    upstream.send(message(b"HTTP/1.1 103 Early Hints", b"Link: </a>") + SWITCHED + b"frame")
    head, interim = client.read_final_head()
    assert (head.status, [early.status for early in interim]) == (101, [103])
    assert client.read_exactly(5) == b"frame"


@pytest.mark.parametrize("end", ["closes", "resets"])
def test_handshake_that_legacy_drops_is_a_gateway_error(wire: Wire, end: str) -> None:
    client, upstream = wire.ask(HANDSHAKE)
    upstream.read_request_head()
    upstream.close() if end == "closes" else upstream.reset()
    assert_gateway_error(client.read_reply())
    assert wire.upstream.got_nothing_for(0.1)


def test_client_gone_before_the_switch_closes_the_upstream(wire: Wire) -> None:
    client, upstream = wire.ask(HANDSHAKE)
    upstream.read_request_head()
    client.close()
    seconds_until_closed(upstream, 1)


def test_h2c_is_not_offered_to_legacy(wire: Wire) -> None:
    lines = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    received, reply = wire.forward(get(b"/api/wire", *lines))
    assert received.value(b"upgrade") is None
    assert received.value(b"http2-settings") is None
    assert (reply.status, reply.body) == (200, b"ok")


def test_upgrade_of_an_http_1_0_client_is_ignored(wire: Wire) -> None:
    received, reply = wire.forward(message(b"GET /ws HTTP/1.0", b"Host: localhost", *FIELDS), OK)
    assert received.value(b"upgrade") is None
    assert reply.status == 200


def test_tunnelled_connection_is_not_pooled(wire: Wire) -> None:
    client, upstream = open_tunnel(wire)
    client.close()
    assert upstream.ends_within(1)
    assert wire.forward(get(), ok())[1].body == b"ok"


def test_switch_to_something_else_than_asked_is_passed_on_or_a_gateway_error(wire: Wire) -> None:
    client, upstream = wire.ask(HANDSHAKE)
    upstream.read_request_head()
    upstream.send(message(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: other", b"Connection: Upgrade"))
    try:
        assert client.read_reply_head().status in {101, 502}
    except Ended as error:
        raise AssertionError("neither passed on nor answered") from error
