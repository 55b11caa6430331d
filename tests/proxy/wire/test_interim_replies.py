"""Interim (1xx) replies come before the final one and are passed on. Source: RFC 9110 §15.2."""

from __future__ import annotations

import pytest

from tests.proxy.wire.wire import Wire, assert_gateway_error, get, message, ok, post

EARLY_HINTS = message(b"HTTP/1.1 103 Early Hints", b"Link: </a.css>; rel=preload", b"Link: </b.js>; rel=preload")


def test_early_hints_reach_the_client_before_the_reply_exists(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(EARLY_HINTS)
    hints = client.read_reply_head()
    assert (hints.status, hints.reason) == (103, b"Early Hints")
    assert hints.values(b"link") == [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]
    upstream.send(ok())
    assert client.read_reply().body == b"ok"


def test_several_interim_replies_arrive_in_order(wire: Wire) -> None:
    processing = b"HTTP/1.1 102 Processing\r\n\r\n"
    _, reply = wire.forward(post(b"x"), processing + EARLY_HINTS + processing + ok())
    assert [interim.status for interim in reply.interim] == [102, 103, 102]
    assert (reply.status, reply.body) == (200, b"ok")


def test_interim_reply_does_not_disturb_the_connection(wire: Wire) -> None:
    client, before = wire.client(), wire.upstream.connections_made
    wire.forward(get(), EARLY_HINTS + ok(), client=client)
    assert wire.forward(get(), client=client)[1].interim == ()
    assert wire.upstream.connections_made - before == 1


def test_100_that_nobody_asked_for_is_passed_on_or_dropped(wire: Wire) -> None:
    _, reply = wire.forward(get(), b"HTTP/1.1 100 Continue\r\n\r\n" + ok())
    assert [interim.status for interim in reply.interim] in ([], [100])
    assert (reply.status, reply.body) == (200, b"ok")


def test_interim_reply_in_pieces_arrives_whole(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    stream = EARLY_HINTS + ok()
    upstream.send_pieces((stream[i : i + 3] for i in range(0, len(stream), 3)), gap_s=0.0005)
    reply = client.read_reply()
    assert ([interim.status for interim in reply.interim], reply.body) == ([103], b"ok")


@pytest.mark.parametrize("status", [100, 102, 103])
def test_http_1_0_client_gets_no_interim_reply(wire: Wire, status: int) -> None:
    request = message(b"GET /api/wire HTTP/1.0", b"Host: localhost")
    _, reply = wire.forward(request, message(b"HTTP/1.1 %d X" % status) + ok())
    assert (reply.status, reply.interim) == (200, ())


def test_interim_reply_without_a_final_one_is_a_gateway_error(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(EARLY_HINTS)
    upstream.finish_sending()
    assert_gateway_error(client.read_reply())


def test_101_that_nobody_asked_for_is_a_gateway_error(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(message(b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: websocket"))
    assert_gateway_error(client.read_reply())


def test_endless_interim_replies_are_cut_off(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    sending = upstream.send_in_background(b"HTTP/1.1 100 Continue\r\n\r\n" * 200_000)
    final, _ = client.read_final_head()
    assert final.status == 502
    client.reset()
    upstream.drain_to_end()
    sending.finish()
