"""Legacy may answer before it has read the request: the client gets that answer whole. Source: RFC 9112 §9.3, §9.6."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.proxy.wire.client import Client
from tests.proxy.wire.http1 import Ended, Sending
from tests.proxy.wire.upstream import UpstreamConnection
from tests.proxy.wire.wire import LAST_CHUNK, Wire, chunked_post, chunks, get, message, ok, post

BIG = b"x" * 20_000_000
TOO_LARGE_BODY = b'{"error":"too large"}' * 100
TOO_LARGE = b"HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
    len(TOO_LARGE_BODY),
    TOO_LARGE_BODY,
)


def start_big_upload(wire: Wire, chunked: bool = False) -> tuple[Client, UpstreamConnection, Sending]:
    """A 20 MB upload that legacy does not read: under way until every buffer is full."""
    client = wire.client()
    request = chunked_post(chunks(*[BIG[:100_000]] * 200) + LAST_CHUNK) if chunked else post(BIG)
    sending = client.send_in_background(request)
    upstream = wire.upstream_for(client)
    upstream.read_request_head()
    assert sending.stalls() < 20_000_000, "the proxy takes a whole upload that legacy does not read"
    return client, upstream, sending


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_refusal_reaches_a_client_that_is_still_sending(wire: Wire, chunked: bool) -> None:
    client, upstream, sending = start_big_upload(wire, chunked)
    upstream.send(TOO_LARGE)
    upstream.finish_sending()
    reply = client.read_reply()
    assert (reply.status, reply.body) == (413, TOO_LARGE_BODY)
    client.reset()
    sending.finish()


def test_refusal_by_a_legacy_that_resets_behind_it_reaches_the_client(wire: Wire) -> None:
    """Closing with unread bytes resets the connection: the reply is in the proxy's buffer, and has to be read first."""
    client, upstream, sending = start_big_upload(wire)
    upstream.send(TOO_LARGE)
    upstream.close()
    reply = client.read_reply()
    assert (reply.status, reply.body) == (413, TOO_LARGE_BODY)
    client.reset()
    sending.finish()


def test_refusal_reaches_a_client_that_reads_only_when_it_can_send_no_more(wire: Wire) -> None:
    client, upstream, sending = start_big_upload(wire)
    upstream.send(TOO_LARGE)
    upstream.finish_sending()
    sending.stalls()
    reply = client.read_reply()
    assert (reply.status, reply.body) == (413, TOO_LARGE_BODY)
    client.reset()
    sending.finish()


def test_refusal_of_a_small_body_leaves_both_sides_in_order(wire: Wire) -> None:
    client, upstream = wire.ask(message(b"POST /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: 5") + b"he")
    upstream.read_request_head()
    upstream.send(message(b"HTTP/1.1 403 No", b"Content-Length: 2") + b"no")
    reply = client.read_reply()
    assert (reply.status, reply.body) == (403, b"no")
    with suppress(OSError):
        client.send(b"llo")
    with suppress(Ended):
        assert upstream.read_exactly(5) == b"hello"
        wire.upstream.release(upstream)
    received = wire.reaches_legacy_or_ends(client, get(b"/api/next"))
    assert received is None or received.start == b"GET /api/next HTTP/1.1"


def test_upload_goes_on_behind_an_early_reply_that_keeps_the_connection(wire: Wire) -> None:
    client, upstream, sending = start_big_upload(wire)
    upstream.send(ok(body=b"early"))
    reply = client.read_reply()
    assert reply.body == b"early"
    try:
        assert upstream.read_exactly(20_000_000) == BIG
    except Ended:
        assert client.readable(2), "given up upstream, but the client may go on"
    client.reset()
    sending.finish()


def test_reply_larger_than_every_buffer_passes_a_stalled_upload(wire: Wire) -> None:
    client, upstream, sending = start_big_upload(wire)
    replying = upstream.send_in_background(ok(body=b"r" * 5_000_000))
    assert len(client.read_reply().body) == 5_000_000
    replying.finish()
    client.reset()
    sending.finish()


def test_rest_of_a_refused_body_is_no_request(wire: Wire) -> None:
    client, upstream = wire.ask(message(b"POST /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: 1000"))
    upstream.read_request_head()
    upstream.send(TOO_LARGE)
    upstream.finish_sending()
    assert client.read_reply().status == 413
    try:
        client.send(get(b"/api/smuggled"))
    except OSError:
        return
    assert wire.upstream.got_nothing_for(0.2)
