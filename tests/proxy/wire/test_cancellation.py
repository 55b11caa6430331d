"""A client that has gone takes its upstream connection with it, within 250 ms. Source: DESIGN section 4.

The limit asserted is a second, so that a busy machine does not fail the test; what was measured is printed (`-rP`).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.proxy.wire.client import Client
from tests.proxy.wire.http1 import Ended
from tests.proxy.wire.upstream import OK
from tests.proxy.wire.wire import STREAM_HEAD, Wire, chunked_post, chunks, get, message, ok, post, seconds_until_closed

AT_MOST_S = 1.0
Leave = Callable[[Client], None]


@pytest.fixture(params=["closes", "resets"])
def leave(request: pytest.FixtureRequest) -> Leave:
    """How the client goes away."""
    return Client.close if request.param == "closes" else Client.reset


@pytest.mark.parametrize("request_bytes", [get(), post(b"hello")], ids=["GET", "POST"])
def test_client_gone_before_the_reply_closes_the_upstream(wire: Wire, leave: Leave, request_bytes: bytes) -> None:
    client, upstream = wire.ask(request_bytes)
    upstream.read_request()
    leave(client)
    print(f"closed after {seconds_until_closed(upstream, AT_MOST_S):.3f} s")


def test_client_gone_on_a_silent_stream_closes_the_upstream(wire: Wire, leave: Leave) -> None:
    client, upstream = wire.ask(get(b"/api/logs/stream"))
    upstream.read_request()
    upstream.send(STREAM_HEAD + chunks(b"data: 1\n\n"))
    client.read_reply_head()
    client.read_chunk()
    leave(client)
    print(f"closed after {seconds_until_closed(upstream, AT_MOST_S):.3f} s")


def test_client_gone_in_mid_reply_closes_the_upstream(wire: Wire, leave: Leave) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    sending = upstream.send_in_background(ok(body=b"x" * 50_000_000))
    client.read_final_head()
    leave(client)
    sending.finish(within_s=5)
    assert sending.error is not None, "the whole reply was taken for a client that has gone"


def test_client_gone_in_mid_upload_closes_the_upstream(wire: Wire, leave: Leave) -> None:
    client, upstream = wire.ask(chunked_post(chunks(b"hello")))
    upstream.read_request_head()
    assert upstream.read_chunk() == b"hello"
    leave(client)
    seconds_until_closed(upstream, AT_MOST_S)


def test_client_gone_while_its_upload_is_stalled_closes_the_upstream(wire: Wire) -> None:
    client = wire.client()
    sending = client.send_in_background(post(b"x" * 20_000_000))
    upstream = wire.upstream_for(client)
    upstream.read_request_head()
    assert sending.stalls() < 20_000_000
    client.reset()
    sending.finish()
    with pytest.raises(Ended):
        upstream.read_exactly(20_000_000)


def test_client_gone_behind_a_pipelined_request_gets_no_second_delivery(wire: Wire) -> None:
    client, upstream = wire.ask(get(b"/api/1") + post(b"never"))
    upstream.read_request()
    client.reset()
    seconds_until_closed(upstream, AT_MOST_S)
    assert wire.upstream.got_nothing_for(0.1)


def test_200_cancelled_requests_leave_no_upstream_connection(wire: Wire) -> None:
    asked = [wire.ask(get(b"/api/%d" % n)) for n in range(200)]
    for client, _ in asked:
        client.close()
    for _, upstream in asked:
        upstream.read_request()
        assert upstream.ends_within(2)
    assert wire.forward(get())[1].body == b"ok"


def test_half_closed_client_gets_a_prompt_reply(wire: Wire) -> None:
    client = wire.client()
    client.send(get())
    client.finish_sending()
    upstream = wire.upstream_for(client)
    upstream.read_request()
    upstream.send(ok(body=b"x" * 60_000))
    reply = client.read_reply()
    assert (reply.status, len(reply.body)) == (200, 60_000)
    assert client.ends_within(2)


def test_half_closed_http_1_0_client_gets_a_prompt_reply(wire: Wire) -> None:
    client = wire.client()
    client.send(message(b"GET /api/wire HTTP/1.0", b"Host: localhost"))
    client.finish_sending()
    upstream = wire.upstream_for(client)
    upstream.read_request()
    upstream.send(OK)
    assert client.read_reply().body == b"ok"


def test_half_closed_client_gets_a_reply_to_its_body(wire: Wire) -> None:
    client = wire.client()
    client.send(post(b"hello"))
    client.finish_sending()
    upstream = wire.upstream_for(client)
    assert upstream.read_request().body == b"hello"
    upstream.send(OK)
    assert client.read_reply().body == b"ok"


def test_half_closed_client_gets_a_reply_to_each_pipelined_request(wire: Wire) -> None:
    client = wire.client()
    client.send(get(b"/api/1") + get(b"/health/live") + get(b"/api/2"))
    client.finish_sending()
    for target in (b"/api/1", b"/api/2"):
        upstream = wire.upstream_for(client) if target == b"/api/1" else wire.upstream.accept()
        assert upstream.read_request().target == target
        upstream.send(ok(body=target))
        wire.upstream.release(upstream)
    assert client.read_reply().body == b"/api/1"
    assert client.read_reply().value(b"x-signet-served-by") == b"native"
    assert client.read_reply().body == b"/api/2"
    assert client.ends_within(2)


def test_half_closed_client_gets_a_native_reply(wire: Wire) -> None:
    client = wire.client()
    client.send(get(b"/health/live"))
    client.finish_sending()
    assert client.read_reply().status == 200
    assert client.ends_within(2)


def test_client_half_closed_in_the_middle_of_a_chunked_upload_closes_the_upstream(wire: Wire) -> None:
    client, upstream = wire.ask(chunked_post(chunks(b"hello")))
    upstream.read_request_head()
    assert upstream.read_chunk() == b"hello"
    client.finish_sending()
    assert upstream.ends_within(2)


def test_half_closed_client_gets_its_own_refusal(wire: Wire) -> None:
    client = wire.client()
    client.send(message(b"GET /api/wire HTTP/1.1", b"X-No: host"))
    client.finish_sending()
    assert client.read_reply().status == 400


def test_client_half_closed_in_mid_reply_gets_what_is_already_coming(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    head = client.read_reply_head()
    assert client.read_exactly(5) == b"hello"
    client.finish_sending()
    upstream.send(b"world")
    assert (head.status, client.read_exactly(5)) == (200, b"world")


@pytest.mark.parametrize("begun", [b"", STREAM_HEAD], ids=["before-the-reply", "on-a-silent-stream"])
def test_client_half_closed_while_legacy_is_silent_closes_the_upstream(wire: Wire, begun: bytes) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    if begun:
        upstream.send(begun)
        client.read_reply_head()
    client.finish_sending()
    print(f"closed after {seconds_until_closed(upstream, AT_MOST_S):.3f} s")
    if begun:
        with pytest.raises(Ended):
            client.read_chunk()


def test_client_half_closed_on_a_busy_stream_does_not_keep_it_open(wire: Wire) -> None:
    """Each event comes in time; together they must not stretch the grace for ever."""
    client, upstream = wire.ask(get(b"/api/logs/stream"))
    upstream.read_request()
    upstream.send(STREAM_HEAD)
    client.read_reply_head()
    client.finish_sending()
    ticks = 0
    while not upstream.readable(0.05):
        upstream.send(chunks(b"data: tick\n\n"))
        ticks += 1
        assert ticks < 40, "the stream is kept for a client that has closed its side"
    assert upstream.ends_within(1)
