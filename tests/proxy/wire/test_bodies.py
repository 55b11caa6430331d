"""Bodies pass both ways byte for byte, framed as they came, and as they come. Source: DESIGN section 4."""

from __future__ import annotations

import hashlib
import random

import pytest

from tests.proxy.wire.http1 import content_length
from tests.proxy.wire.upstream import OK
from tests.proxy.wire.wire import LAST_CHUNK, STREAM_HEAD, Wire, chunked_post, chunks, get, message, ok, post

FIVE_MB = random.Random(7).randbytes(5_000_000)
EVENT = b'event: log\ndata: {"n":%d}\n\n'


def digest(data: bytes) -> str:
    """Compared in place of long bodies: a failing comparison of megabytes takes pytest minutes to show."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"DELETE", b"GET", b"PROPFIND"])
@pytest.mark.parametrize("body", [b"", b"x", b"\x00\r\n\r\n\xff" * 100])
def test_sized_body_arrives_sized_with_any_method(wire: Wire, method: bytes, body: bytes) -> None:
    head = message(method + b" /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % len(body))
    received, _ = wire.forward(head + body)
    assert received.values(b"content-length") == [b"%d" % len(body)]
    assert received.value(b"transfer-encoding") is None
    assert received.body == body


def test_get_with_a_chunked_body_arrives_with_it(wire: Wire) -> None:
    head = message(b"GET /api/wire HTTP/1.1", b"Host: localhost", b"Transfer-Encoding: chunked")
    received, _ = wire.forward(head + chunks(b"query") + LAST_CHUNK)
    assert received.body == b"query"


def test_request_without_body_gets_no_framing(wire: Wire) -> None:
    received, _ = wire.forward(message(b"POST /api/wire HTTP/1.1", b"Host: localhost"))
    assert received.value(b"transfer-encoding") is None
    assert received.value(b"content-length") in {None, b"0"}


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_request_body_of_5_mb_arrives_identical(wire: Wire, chunked: bool) -> None:
    pieces = [FIVE_MB[i : i + 70_001] for i in range(0, len(FIVE_MB), 70_001)]
    client = wire.client()
    sending = client.send_in_background(chunked_post(chunks(*pieces) + LAST_CHUNK) if chunked else post(FIVE_MB))
    upstream = wire.upstream_for(client)
    received = upstream.read_request()
    sending.finish()
    upstream.send(OK)
    assert digest(received.body) == digest(FIVE_MB)
    assert client.read_reply().status == 200


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_reply_body_of_5_mb_arrives_identical(wire: Wire, framing: str) -> None:
    pieces = [FIVE_MB[i : i + 70_001] for i in range(0, len(FIVE_MB), 70_001)]
    head = {
        "length": b"Content-Length: %d\r\n" % len(FIVE_MB),
        "chunked": b"Transfer-Encoding: chunked\r\n",
        "close": b"",
    }[framing]
    body = chunks(*pieces) + LAST_CHUNK if framing == "chunked" else FIVE_MB
    client, upstream = wire.ask(get())
    upstream.read_request()
    sending = upstream.send_in_background(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body)
    if framing == "close":
        sending.finish()
        upstream.finish_sending()
    reply = client.read_reply()
    sending.finish()
    assert digest(reply.body) == digest(FIVE_MB)
    assert reply.framing in ({framing} if framing != "close" else {"close", "chunked"})


def test_reply_with_length_zero_keeps_it(wire: Wire) -> None:
    _, reply = wire.forward(get(), ok(body=b""))
    assert reply.values(b"content-length") == [b"0"]


def test_chunked_reply_arrives_chunked(wire: Wire) -> None:
    reply_bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"a", b"bc") + LAST_CHUNK
    _, reply = wire.forward(get(), reply_bytes)
    assert (reply.framing, reply.body) == ("chunked", b"abc")
    assert reply.value(b"content-length") is None


def test_legacy_sees_each_piece_of_a_sized_upload_before_the_next_is_sent(wire: Wire) -> None:
    client, upstream = wire.ask(message(b"POST /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: 15"))
    assert content_length(upstream.read_request_head()) == 15
    for piece in (b"first", b"again", b"third"):
        client.send(piece)
        assert upstream.read_exactly(5) == piece
    upstream.send(OK)
    assert client.read_reply().body == b"ok"


def test_legacy_sees_each_chunk_of_an_upload_before_the_next_is_sent(wire: Wire) -> None:
    client, upstream = wire.ask(chunked_post(b""))
    upstream.read_request_head()
    for piece in (b"first", b"second", b"third"):
        client.send(chunks(piece))
        assert upstream.read_chunk() == piece
    client.send(LAST_CHUNK)
    assert upstream.read_chunk() == b""
    upstream.read_fields()
    upstream.send(OK)
    assert client.read_reply().body == b"ok"


def test_client_sees_each_event_before_the_next_is_sent(wire: Wire) -> None:
    client, upstream = wire.ask(get(b"/api/logs/stream", b"Accept: text/event-stream"))
    upstream.read_request()
    upstream.send(STREAM_HEAD)
    assert client.read_reply_head().value(b"content-type") == b"text/event-stream"
    for n in range(5):
        upstream.send(chunks(EVENT % n))
        assert client.read_chunk() == EVENT % n
    upstream.send(LAST_CHUNK)
    assert client.read_chunk() == b""


def test_client_sees_each_piece_of_a_sized_reply_before_the_next_is_sent(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n")
    assert client.read_reply_head().value(b"content-length") == b"15"
    for piece in (b"first", b"again", b"third"):
        upstream.send(piece)
        assert client.read_exactly(5) == piece


def test_reply_head_and_body_in_single_bytes_arrive_whole(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    reply_bytes = b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n" + chunks(b"hello") + LAST_CHUNK
    upstream.send_pieces((reply_bytes[i : i + 1] for i in range(len(reply_bytes))), gap_s=0.0005)
    reply = client.read_reply()
    assert (reply.reason, reply.body, reply.value(b"x-a")) == (b"Fine", b"hello", b"b")


def test_bodies_flow_both_ways_at_once(wire: Wire) -> None:
    """Legacy answers each chunk as it comes: a proxy that waits for the request's end would wait for ever."""
    client, upstream = wire.ask(chunked_post(b""))
    upstream.read_request_head()
    upstream.send(STREAM_HEAD)
    assert client.read_reply_head().status == 200
    for n in range(5):
        client.send(chunks(b"ping %d" % n))
        assert upstream.read_chunk() == b"ping %d" % n
        upstream.send(chunks(b"pong %d" % n))
        assert client.read_chunk() == b"pong %d" % n


FIVE_GB = 5_000_000_000


def test_sizes_beyond_32_bits_are_understood_in_requests(wire: Wire) -> None:
    client, upstream = wire.ask(
        message(b"POST /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % FIVE_GB)
    )
    assert content_length(upstream.read_request_head()) == FIVE_GB
    client.send(b"begin")
    assert upstream.read_exactly(5) == b"begin"


def test_sizes_beyond_32_bits_are_understood_in_replies(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(message(b"HTTP/1.1 200 OK", b"Content-Length: %d" % FIVE_GB) + b"begin")
    assert content_length(client.read_reply_head()) == FIVE_GB
    assert client.read_exactly(5) == b"begin"


def test_chunks_beyond_32_bits_pass_as_they_come(wire: Wire) -> None:
    client, upstream = wire.ask(chunked_post(b"%x\r\nbegin" % FIVE_GB))
    upstream.read_request_head()
    assert upstream.read_chunk() == b"begin"
    upstream.send(STREAM_HEAD + b"%x\r\nreply" % FIVE_GB)
    client.read_reply_head()
    assert client.read_chunk() == b"reply"
