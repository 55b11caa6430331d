"""Persistent connections on either side are independent of each other. Source: RFC 9112 §9."""

from __future__ import annotations

import pytest

from tests.proxy.wire.upstream import OK
from tests.proxy.wire.wire import LAST_CHUNK, Wire, chunks, eventually, get, message, ok, post


def test_requests_on_one_client_connection_share_one_upstream_connection(wire: Wire) -> None:
    client, before = wire.client(), wire.upstream.connections_made
    for n in range(5):
        received, reply = wire.forward(get(b"/api/%d" % n), client=client)
        assert (received.target, reply.status) == (b"/api/%d" % n, 200)
    assert wire.upstream.connections_made - before == 1


def test_requests_of_different_clients_share_one_upstream_connection(wire: Wire) -> None:
    before = wire.upstream.connections_made
    for _ in range(5):
        wire.forward(get())
    assert wire.upstream.connections_made - before == 1


def test_posts_share_connections_too(wire: Wire) -> None:
    client, before = wire.client(), wire.upstream.connections_made
    for n in range(3):
        received, _ = wire.forward(post(b"body %d" % n), client=client)
        assert received.body == b"body %d" % n
    assert wire.upstream.connections_made - before == 1


def test_close_from_the_client_closes_it_after_the_reply_and_keeps_the_upstream(wire: Wire) -> None:
    client, before = wire.client(), wire.upstream.connections_made
    received, reply = wire.forward(get(b"/api/wire", b"Connection: close"), client=client)
    assert received.value(b"connection") is None
    assert reply.closes
    assert client.ends_within(2)
    wire.forward(get())
    assert wire.upstream.connections_made - before == 1


@pytest.mark.parametrize("line", [b"Connection: CLOSE", b"Connection: keep-alive, close", b"Connection: x-a , Close"])
def test_close_is_understood_in_any_spelling(wire: Wire, line: bytes) -> None:
    client = wire.client()
    wire.forward(get(b"/api/wire", line), client=client)
    assert client.ends_within(2)


def test_close_from_legacy_does_not_close_the_client(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(ok(b"Connection: close"))
    upstream.finish_sending()
    reply = client.read_reply()
    assert reply.value(b"connection") is None
    assert upstream.ends_within(2)
    assert wire.forward(get(b"/api/next"), client=client)[0].target == b"/api/next"


def test_legacy_that_says_close_but_stays_open_gets_no_further_request(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(ok(b"Connection: close"))
    client.read_reply()
    assert upstream.ends_within(2)


def test_http_1_0_client_is_closed_after_the_reply(wire: Wire) -> None:
    client = wire.client()
    _, reply = wire.forward(message(b"GET /api/wire HTTP/1.0", b"Host: localhost"), client=client)
    assert (reply.body, reply.framing) == (b"ok", "length")
    assert client.ends_within(2)


def test_http_1_0_client_with_keep_alive_is_kept_and_told_so(wire: Wire) -> None:
    client = wire.client()
    request = message(b"GET /api/wire HTTP/1.0", b"Host: localhost", b"Connection: keep-alive")
    _, reply = wire.forward(request, client=client)
    if (reply.value(b"connection") or b"").lower() == b"keep-alive":
        assert wire.forward(request, client=client)[1].body == b"ok"
    else:
        assert client.ends_within(2)


def test_http_1_0_request_reaches_legacy_on_a_connection_that_is_kept(wire: Wire) -> None:
    before = wire.upstream.connections_made
    for _ in range(2):
        wire.forward(message(b"GET /api/wire HTTP/1.0", b"Host: localhost"))
    assert wire.upstream.connections_made - before == 1


def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    client = wire.client()
    client.send(get(b"/api/0") + post(b"hello") + get(b"/api/2"))
    for n, target in enumerate([b"/api/0", b"/api/wire", b"/api/2"]):
        upstream = wire.upstream_for(client)
        received = upstream.read_request()
        assert received.target == target
        upstream.send(ok(body=b"reply %d" % n))
        wire.upstream.release(upstream)
        assert client.read_reply().body == b"reply %d" % n


def test_fifty_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    client = wire.client()
    client.send(b"".join(get(b"/api/%d" % n) for n in range(50)))
    for n in range(50):
        upstream = wire.next_upstream()
        assert upstream.read_request().target == b"/api/%d" % n
        upstream.send(ok(body=b"%d" % n))
        wire.upstream.release(upstream)
    assert [client.read_reply().body for _ in range(50)] == [b"%d" % n for n in range(50)]


def test_request_behind_a_close_is_not_answered(wire: Wire) -> None:
    client, upstream = wire.ask(get(b"/api/1", b"Connection: close") + get(b"/api/2"))
    upstream.read_request()
    upstream.send(OK)
    assert client.read_reply().body == b"ok"
    assert client.ends_within(2)
    wire.upstream.release(upstream)
    assert wire.upstream.got_nothing_for(0.05)


def test_concurrent_requests_get_connections_of_their_own(wire: Wire) -> None:
    asked = [wire.ask(get(b"/api/%d" % n)) for n in range(10)]
    assert len({upstream.number for _, upstream in asked}) == 10
    for n, (_, upstream) in reversed(list(enumerate(asked))):
        assert upstream.read_request().target == b"/api/%d" % n
        upstream.send(ok(body=b"%d" % n))
        wire.upstream.release(upstream)
    assert [client.read_reply().body for client, _ in asked] == [b"%d" % n for n in range(10)]


def test_pooled_connection_is_closed_before_legacy_would_close_it(wire: Wire) -> None:
    """Legacy closes an idle connection after 5 s; the pool gives it up after 4."""
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(OK)
    client.read_reply()
    assert upstream.silent_for(2.5), "given up too early to be of use"
    assert upstream.ends_within(2.4), "kept longer than legacy keeps it"


def test_upstream_connection_behind_extra_bytes_is_not_used_again(wire: Wire) -> None:
    client, upstream = wire.ask(get(b"/api/1"))
    upstream.read_request()
    upstream.send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    assert client.read_reply().body == b"ok"
    assert upstream.ends_within(2)
    assert wire.forward(get(b"/api/2"), client=client)[1].body == b"ok"


def test_upstream_connection_that_speaks_while_idle_is_not_used_again(wire: Wire) -> None:
    client, upstream = wire.ask(get(b"/api/1"))
    upstream.read_request()
    upstream.send(OK)
    client.read_reply()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    assert upstream.ends_within(2)
    assert wire.forward(get(b"/api/2"), client=client)[1].body == b"ok"


def test_connection_is_reused_behind_a_chunked_exchange(wire: Wire) -> None:
    before = wire.upstream.connections_made
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"a", b"b") + LAST_CHUNK
    assert wire.forward(get(), chunked)[1].body == b"ab"
    assert wire.forward(get(), chunked)[1].body == b"ab"
    assert wire.upstream.connections_made - before == 1


def test_idle_connections_are_dropped_when_legacy_closes_them(wire: Wire) -> None:
    wire.forward(get())
    eventually(lambda: wire.upstream.idle_connections == 1, 2, "one idle upstream connection")
    wire.upstream.close_idle()
    assert wire.forward(get())[1].status == 200
