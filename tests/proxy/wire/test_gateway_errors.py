"""When legacy does not answer: what the client is told, and how often a request is delivered. Source: DESIGN section 4.

A POST is delivered at most once. A GET is tried again once, and only where a kept connection may have gone stale.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.proxy.wire.client import Client
from tests.proxy.wire.upstream import OK, UpstreamConnection
from tests.proxy.wire.wire import Wire, assert_gateway_error, eventually, get, message, ok, post

END: dict[str, Callable[[UpstreamConnection], None]] = {
    "closes": UpstreamConnection.close,
    "resets": UpstreamConnection.reset,
    "half-closes": UpstreamConnection.finish_sending,
}
NOT_REPEATED = [
    post(b"x"),
    message(b"PUT /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: 1") + b"x",
    message(b"DELETE /api/wire HTTP/1.1", b"Host: localhost"),
    message(b"PATCH /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: 0"),
    message(b"POST /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: 0"),
]


def ask_on_reused_connection(wire: Wire, request: bytes) -> tuple[Client, UpstreamConnection]:
    """The request arrives on an upstream connection that has served another one before."""
    client, first = wire.ask(get(b"/api/first"))
    first.read_request()
    first.send(OK)
    client.read_reply()
    wire.upstream.release(first)
    client.send(request)
    second = wire.upstream_for(client)
    assert second is first
    return client, second


@pytest.mark.parametrize("end", END.values(), ids=END.keys())
@pytest.mark.parametrize(
    "request_bytes", [get(), *NOT_REPEATED], ids=["GET", "POST", "PUT", "DELETE", "PATCH", "POST-0"]
)
def test_request_unanswered_on_a_new_connection_fails_after_one_delivery(
    wire: Wire, request_bytes: bytes, end: Callable[[UpstreamConnection], None]
) -> None:
    client, upstream = wire.ask(request_bytes)
    upstream.read_request()
    end(upstream)
    assert_gateway_error(client.read_reply())
    assert wire.upstream.got_nothing_for(0.1)


@pytest.mark.parametrize("end", END.values(), ids=END.keys())
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_safe_request_unanswered_on_a_reused_connection_is_tried_once_more(
    wire: Wire, method: bytes, end: Callable[[UpstreamConnection], None]
) -> None:
    request = message(method + b" /api/second HTTP/1.1", b"Host: localhost", b"X-A: b")
    client, first = ask_on_reused_connection(wire, request)
    sent = first.read_request()
    end(first)
    second = wire.upstream_for(client)
    assert second.number != first.number
    assert second.read_request() == sent
    second.send(OK if method == b"GET" else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    assert client.read_reply(to=method).status == 200


def test_safe_request_is_tried_twice_and_not_more(wire: Wire) -> None:
    client, first = ask_on_reused_connection(wire, get())
    first.read_request()
    first.close()
    second = wire.upstream_for(client)
    second.read_request()
    second.close()
    assert_gateway_error(client.read_reply())
    assert wire.upstream.got_nothing_for(0.1)


@pytest.mark.parametrize("request_bytes", NOT_REPEATED, ids=["POST", "PUT", "DELETE", "PATCH", "POST-0"])
def test_other_request_unanswered_on_a_reused_connection_is_delivered_once(wire: Wire, request_bytes: bytes) -> None:
    client, upstream = ask_on_reused_connection(wire, request_bytes)
    upstream.read_request()
    upstream.close()
    assert_gateway_error(client.read_reply())
    assert wire.upstream.got_nothing_for(0.1)


def test_get_that_has_begun_to_be_answered_is_not_tried_again(wire: Wire) -> None:
    client, upstream = ask_on_reused_connection(wire, get())
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    upstream.finish_sending()
    assert_gateway_error(client.read_reply())
    assert wire.upstream.got_nothing_for(0.1)


@pytest.mark.parametrize("end", END.values(), ids=END.keys())
def test_legacy_that_leaves_in_the_middle_of_an_upload_is_a_gateway_error(
    wire: Wire, end: Callable[[UpstreamConnection], None]
) -> None:
    client = wire.client()
    sending = client.send_in_background(post(b"x" * 20_000_000))
    upstream = wire.upstream_for(client)
    upstream.read_request_head()
    sending.stalls()
    end(upstream)
    assert_gateway_error(client.read_reply())
    assert wire.upstream.got_nothing_for(0.1)


def test_client_connection_goes_on_behind_a_gateway_error_or_ends(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.close()
    assert_gateway_error(client.read_reply())
    received = wire.reaches_legacy_or_ends(client, get(b"/api/next"))
    assert received is None or received.target == b"/api/next"


def test_gateway_error_for_head_has_no_body(wire: Wire) -> None:
    client, upstream = wire.ask(message(b"HEAD /api/wire HTTP/1.1", b"Host: localhost", b"Connection: close"))
    upstream.read_request()
    upstream.close()
    reply = client.read_reply(to=b"HEAD")
    assert (reply.status, bool(reply.value(b"x-signet-proxy-error"))) == (502, True)
    assert client.ends_within(2)


def test_gateway_error_reaches_an_http_1_0_client(wire: Wire) -> None:
    client, upstream = wire.ask(message(b"POST /api/wire HTTP/1.0", b"Host: localhost", b"Content-Length: 0"))
    upstream.read_request()
    upstream.close()
    assert_gateway_error(client.read_reply())
    assert client.ends_within(2)


def test_error_of_legacy_is_not_dressed_as_one_of_the_proxy(wire: Wire) -> None:
    _, reply = wire.forward(get(), message(b"HTTP/1.1 502 Bad Gateway", b"Content-Length: 3") + b"his")
    assert (reply.status, reply.body) == (502, b"his")
    assert reply.value(b"x-signet-proxy-error") is None
    assert reply.value(b"x-signet-served-by") == b"legacy"


def test_unreachable_legacy_is_said_so_and_forgiven_when_it_is_back(own_wire: Wire) -> None:
    wire = own_wire
    wire.forward(get())
    wire.upstream.stop_listening()
    wire.upstream.forget_all()
    client = wire.client()
    client.send(post(b"x"))
    reply = client.read_reply()
    assert_gateway_error(reply, {502, 503})
    if reply.status == 503:
        assert (reply.value(b"retry-after") or b"").isdigit()
    wire.upstream.listen_again()
    eventually(lambda: post_is_answered(wire), 10, "requests are forwarded again")


def post_is_answered(wire: Wire) -> bool:
    client = wire.client()
    client.send(post(b"again"))
    if wire.upstream.got_nothing_for(0.2):
        return client.read_reply().status == 200
    upstream = wire.upstream.newest_held()
    upstream.read_request()
    upstream.send(ok())
    return client.read_reply().status == 200


@pytest.mark.parametrize("wait_s", [0.0, 0.05])
def test_gets_never_fail_when_legacy_closes_idle_connections(wire: Wire, wait_s: float) -> None:
    for n in range(25):
        client, upstream = wire.ask(get(b"/api/%d" % n))
        upstream.read_request()
        upstream.send(OK)
        if wait_s:
            upstream.silent_for(wait_s)
        upstream.close()
        assert client.read_reply().status == 200


@pytest.mark.parametrize("end", ["close", "reset"])
def test_posts_are_delivered_at_most_once_when_legacy_closes_idle_connections(wire: Wire, end: str) -> None:
    failed = 0
    for n in range(25):
        wire.forward(get())
        wire.upstream.close_idle() if end == "close" else wire.upstream.reset_idle()
        client = wire.client()
        client.send(post(b"%d" % n))
        if wire.upstream.got_nothing_for(0.5):
            assert_gateway_error(client.read_reply())
            failed += 1
            continue
        upstream = wire.upstream.newest_held()
        assert upstream.read_request().body == b"%d" % n
        upstream.send(OK)
        assert client.read_reply().status == 200
        wire.upstream.release(upstream)
        assert wire.upstream.got_nothing_for(0.001), "delivered twice"
    assert failed <= 3, "a connection whose end has been seen must not be chosen"
