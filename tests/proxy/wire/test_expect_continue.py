"""`Expect: 100-continue`: the client waits before it sends its body. Source: RFC 9110 §10.1.1."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.proxy.wire.http1 import Ended
from tests.proxy.wire.upstream import OK
from tests.proxy.wire.wire import SERVED_BY, Wire, get, message, ok

EXPECTING = message(b"POST /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: 5", b"Expect: 100-continue")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_client_is_told_to_continue_when_legacy_says_so(wire: Wire) -> None:
    client, upstream = wire.ask(EXPECTING)
    upstream.read_request_head()
    upstream.send(CONTINUE)
    assert client.read_reply_head().status == 100
    client.send(b"hello")
    assert upstream.read_exactly(5) == b"hello"
    upstream.send(OK)
    reply = client.read_reply()
    assert (reply.status, reply.body) == (200, b"ok")
    assert {interim.status for interim in reply.interim} <= {100}


@pytest.mark.parametrize("status", [401, 413, 417])
def test_refusal_by_legacy_reaches_a_client_that_has_not_sent_its_body(wire: Wire, status: int) -> None:
    client, upstream = wire.ask(EXPECTING)
    upstream.read_request_head()
    upstream.send(message(b"HTTP/1.1 %d No" % status, b"Content-Length: 2", b"Connection: close") + b"no")
    upstream.finish_sending()
    reply = client.read_reply()
    assert (reply.status, reply.body) == (status, b"no")
    assert reply.value(SERVED_BY) == b"legacy"


def test_body_that_never_came_is_not_taken_from_the_next_request(wire: Wire) -> None:
    """The client got a final status and may keep its body; what it sends next must not be mixed up with it."""
    client, upstream = wire.ask(EXPECTING)
    upstream.read_request_head()
    upstream.send(message(b"HTTP/1.1 417 No", b"Content-Length: 0"))
    reply = client.read_reply()
    assert reply.status == 417
    with suppress(OSError):
        client.send(b"hello")
    with suppress(Ended):
        assert upstream.read_exactly(5) == b"hello"
        wire.upstream.release(upstream)
    received = wire.reaches_legacy_or_ends(client, get(b"/api/next"))
    assert received is None or received.start == b"GET /api/next HTTP/1.1"


def test_body_sent_without_waiting_arrives(wire: Wire) -> None:
    received, reply = wire.forward(EXPECTING + b"hello", CONTINUE + OK)
    assert (received.body, reply.status) == (b"hello", 200)


def test_client_that_loses_patience_is_served(wire: Wire) -> None:
    client, upstream = wire.ask(EXPECTING)
    upstream.read_request_head()
    if client.readable(0.1):
        assert client.read_reply_head().status == 100
    client.send(b"hello")
    assert upstream.read_exactly(5) == b"hello"
    upstream.send(ok())
    assert client.read_reply().status == 200


def test_http_1_0_client_that_expects_gets_no_interim_reply(wire: Wire) -> None:
    request = message(b"POST /api/wire HTTP/1.0", b"Host: localhost", b"Content-Length: 5", b"Expect: 100-continue")
    received, reply = wire.forward(request + b"hello", CONTINUE + OK)
    assert received.body == b"hello"
    assert (reply.status, reply.interim) == (200, ())


def test_unknown_expectation_is_forwarded_or_fails(wire: Wire) -> None:
    wire.forwarded_or_refused(get(b"/api/wire", b"Expect: a-miracle"), {417, 400})


def test_expectation_without_a_body_is_answered(wire: Wire) -> None:
    _, reply = wire.forward(get(b"/api/wire", b"Expect: 100-continue"))
    assert reply.status == 200
