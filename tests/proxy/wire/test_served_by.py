"""Every reply says who gave it, and the proxy's own are JSON without internals. Source: DESIGN section 4."""

from __future__ import annotations

import pytest

from tests.proxy.wire.wire import SERVED_BY, Wire, assert_own_reply, chunks, get, message, ok

ANSWERED_HERE = {
    "no-host": message(b"GET /api/wire HTTP/1.1"),
    "foreign-host": message(b"GET /api/wire HTTP/1.1", b"Host: evil.example"),
    "foreign-origin": get(b"/api/wire", b"Origin: https://evil.example"),
    "smuggling": get(b"/api/wire", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    "garbage": b"garbage\r\n\r\n",
    "too-long": get(b"/", b"X: " + b"v" * 20_000),
    "end-to-end-stripping": get(b"/api/wire", b"Connection: authorization", b"Authorization: x"),
    "bad-version": message(b"GET / HTTP/2.0", b"Host: localhost"),
}


@pytest.mark.parametrize("request_bytes", ANSWERED_HERE.values(), ids=ANSWERED_HERE.keys())
def test_refusal_is_json_and_names_the_proxy(wire: Wire, request_bytes: bytes) -> None:
    client = wire.client()
    client.send(request_bytes)
    reply = client.read_reply()
    assert 400 <= reply.status < 600
    assert_own_reply(reply)
    assert (reply.value(b"content-type") or b"").startswith(b"application/json")
    assert reply.framing == "length"


@pytest.mark.parametrize("target", [b"/health", b"/health/live"])
def test_health_is_answered_here(wire: Wire, target: bytes) -> None:
    client = wire.client()
    client.send(get(target))
    reply = client.read_reply()
    assert (reply.status, reply.value(SERVED_BY)) == (200, b"native")
    assert wire.upstream.got_nothing_for(0.02)


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500, 502])
def test_forwarded_reply_names_legacy_once_whatever_its_status(wire: Wire, status: int) -> None:
    lines = [] if status in {204, 304} else [b"Content-Length: 0"]
    _, reply = wire.forward(get(), message(b"HTTP/1.1 %d X" % status, *lines))
    assert reply.values(SERVED_BY) == [b"legacy"]


def test_name_that_legacy_gives_itself_is_not_believed(wire: Wire) -> None:
    _, reply = wire.forward(get(), ok(b"X-Signet-Served-By: native"))
    assert reply.values(SERVED_BY) == [b"legacy"]


def test_streamed_reply_names_legacy(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"data: 1\n\n"))
    assert client.read_reply_head().value(SERVED_BY) == b"legacy"


def test_native_and_forwarded_replies_share_a_connection_in_order(wire: Wire) -> None:
    client = wire.client()
    client.send(get(b"/health/live") + get(b"/api/wire") + get(b"/health/live"))
    assert client.read_reply().value(SERVED_BY) == b"native"
    upstream = wire.upstream_for(client)
    assert upstream.read_request().target == b"/api/wire"
    upstream.send(ok())
    assert client.read_reply().value(SERVED_BY) == b"legacy"
    assert client.read_reply().value(SERVED_BY) == b"native"


def test_native_reply_to_head_and_http_1_0_is_framed_for_them(wire: Wire) -> None:
    client = wire.client()
    client.send(message(b"HEAD /health/live HTTP/1.1", b"Host: localhost") + get(b"/health/live"))
    assert client.read_reply(to=b"HEAD").status == 200
    assert client.read_reply().status == 200
    old = wire.client()
    old.send(message(b"GET /health/live HTTP/1.0"))
    assert old.read_reply().status == 200
    assert old.ends_within(2)


@pytest.mark.parametrize("body", [b"x", b"x" * 100_000])
def test_body_sent_with_a_request_that_is_answered_here_is_no_second_request(wire: Wire, body: bytes) -> None:
    client = wire.client()
    head = message(b"GET /health/live HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % len(body))
    client.send(head + body)
    assert client.read_reply().status == 200
    received = wire.reaches_legacy_or_ends(client, get(b"/api/next"))
    assert received is None or received.target == b"/api/next"
