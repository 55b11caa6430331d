"""Clients that send too much or take too long get a short answer, and others notice nothing."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from tests.proxy.wire.client import Client
from tests.proxy.wire.http1 import Ended
from tests.proxy.wire.wire import Wire, assert_own_reply, chunks, get, message, ok

HEADER_DEADLINE_S = 10.0
SLOW_CLIENTS = 1_000


@pytest.mark.parametrize(
    "lines",
    [
        [b"X-Long: " + b"v" * 17_000],
        [b"X-" + b"n" * 17_000 + b": v"],
        [b"X-%d: v" % n for n in range(2_000)],
        [b"Cookie: a=" + b"c" * 900] * 20,
        [b"X-Long: " + b"v" * 100_000],
    ],
    ids=["one-long-value", "one-long-name", "2000-fields", "20-cookies", "100-kb"],
)
def test_head_beyond_16_kib_is_refused(wire: Wire, lines: list[bytes]) -> None:
    wire.refused(get(b"/api/wire", *lines), {431})


def test_megabyte_of_fields_is_refused_before_it_has_all_been_sent(wire: Wire) -> None:
    client = wire.client()
    begin = time.monotonic()
    sending = client.send_in_background(get(b"/api/wire", *[b"X-Long: " + b"v" * 1_000] * 1_000))
    reply = client.read_reply()
    assert reply.status == 431
    assert_own_reply(reply)
    assert time.monotonic() - begin < HEADER_DEADLINE_S
    sending.finish()
    assert wire.upstream.got_nothing_for(0.02)


def test_endless_field_of_a_client_that_does_not_read_ends_its_connection(wire: Wire) -> None:
    """A refused client may go on for a moment, so that it can read why; then it is closed whatever it still sends."""
    client = wire.client()
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Endless: " + b"v" * 20_000)
    begin = time.monotonic()
    with suppress(OSError):
        while time.monotonic() - begin < 8:
            client.send(b"v" * 1_000)
            wire.upstream.got_nothing_for(0.02)
    assert time.monotonic() - begin < 8


def test_head_in_pieces_beyond_16_kib_is_refused(wire: Wire) -> None:
    request = get(b"/api/wire", b"X-Long: " + b"v" * 20_000)
    client = wire.client()
    client.send_pieces((request[i : i + 2_000] for i in range(0, len(request), 2_000)), gap_s=0.002)
    assert client.read_reply().status == 431


def test_head_just_below_the_limit_passes_again_and_again(wire: Wire) -> None:
    client = wire.client()
    for _ in range(3):
        received, _ = wire.forward(get(b"/api/wire", b"X-Long: " + b"v" * 15_500), client=client)
        assert len(received.value(b"x-long") or b"") == 15_500


def test_slow_heads_are_closed_at_their_deadline_and_others_are_served_meanwhile(wire: Wire) -> None:
    """Most of 1,000 clients send nothing more, some a byte now and then: the deadline is for the whole head.

    A client whose head was in time may take as long as it likes for its body.
    """
    begin = time.monotonic()
    late, upstream = wire.ask(message(b"POST /api/late HTTP/1.1", b"Host: localhost", b"Content-Length: 4"))
    upstream.read_request_head()
    slow = [wire.client() for _ in range(SLOW_CLIENTS)]
    for client in slow:
        client.send(b"GET /api/slow HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    answered = 0
    while time.monotonic() - begin < HEADER_DEADLINE_S - 1.5:
        asked = time.monotonic()
        assert wire.forward(get())[1].status == 200
        assert time.monotonic() - asked < 5
        answered += 1
        drip(slow[:100])
        assert wire.upstream.got_nothing_for(0.25)
    assert answered > 5
    for client in slow:
        ends_with_at_most_a_408(client, begin + HEADER_DEADLINE_S + 4 - time.monotonic())
    assert late.silent_for(max(begin + HEADER_DEADLINE_S + 1 - time.monotonic(), 0))
    late.send(b"late")
    assert upstream.read_exactly(4) == b"late"
    upstream.send(ok())
    assert late.read_reply().status == 200


def drip(clients: list[Client]) -> None:
    for client in clients:
        assert not client.readable(0), "closed before its deadline"
        client.send(b"v")


def ends_with_at_most_a_408(client: Client, within_s: float) -> None:
    assert client.readable(max(within_s, 0.01)), "a slow head outlived its deadline"
    try:
        reply = client.read_reply()
    except Ended:
        return
    assert reply.status == 408
    assert_own_reply(reply)
    assert client.ends_within(2)


def test_500_idle_streams_each_get_their_event_and_leave_nothing_behind(wire: Wire) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    streams = [wire.ask(get(b"/api/logs/stream?n=%d" % n)) for n in range(500)]
    for _, upstream in streams:
        upstream.read_request()
        upstream.send(head)
    for client, _ in streams:
        assert client.read_reply_head().status == 200
    for n, (_, upstream) in enumerate(streams):
        upstream.send(chunks(b"data: %d\n\n" % n))
    for n, (client, _) in enumerate(streams):
        assert client.read_chunk() == b"data: %d\n\n" % n
    for client, _ in streams:
        client.close()
    for _, upstream in streams:
        assert upstream.ends_within(2)
    assert wire.forward(get())[1].body == b"ok"


def test_thousand_connections_in_a_row_leave_nothing_behind(wire: Wire) -> None:
    before = wire.upstream.connections_made
    for _ in range(1_000):
        wire.client().close()
    assert wire.forward(get())[1].status == 200
    assert wire.upstream.connections_made - before <= 1
