"""Chunked request bodies: strict about chunk framing, free of what a recipient may drop. Source: RFC 9112 §7.1."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.proxy.wire.http1 import Ended
from tests.proxy.wire.upstream import OK
from tests.proxy.wire.wire import LAST_CHUNK, SERVED_BY, Wire, chunked_post, chunks, get

BAD_CHUNKS = {
    "no-number": b"g\r\nhello\r\n0\r\n\r\n",
    "empty-size": b"\r\nhello\r\n0\r\n\r\n",
    "negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "hex-prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "leading-space": b" 5\r\nhello\r\n0\r\n\r\n",
    "overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "very-long-size": b"f" * 100 + b"\r\nhello\r\n0\r\n\r\n",
    "data-longer-than-size": b"5\r\nhello!\r\n0\r\n\r\n",
    "data-shorter-than-size": b"5\r\nhell\r\n0\r\n\r\n",
    "no-crlf-behind-data": b"5\r\nhello0\r\n\r\n",
    "bare-cr-behind-size": b"5\rhello\r\n0\r\n\r\n",
    "nul-in-size": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "size-and-word": b"5 x\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("raw_body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_bad_chunk_is_refused_and_never_completes_upstream(wire: Wire, raw_body: bytes) -> None:
    client = wire.client()
    client.send(chunked_post(raw_body) + get(b"/api/smuggled"))
    try:
        reply = client.read_reply()
    except Ended:
        pass
    else:
        assert reply.status == 400
        assert reply.value(SERVED_BY)
        assert client.ends_within(3)
    if not wire.upstream.got_nothing_for(0.02):
        with pytest.raises(Ended):
            wire.upstream.newest_held().read_request()
    assert wire.upstream.got_nothing_for(0.02), "what stood behind the bad chunk must not become a request"


@pytest.mark.parametrize(
    "raw_body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r\n0\n\r\n",
        b"5\r\nhello\r\n0\r\n\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5;\r\nhello\r\n0\r\n\r\n",
        b"5 ; a = b\r\nhello\r\n0\r\n\r\n",
    ],
    ids=["lf-after-size", "lf-after-data", "lf-after-last-size", "lf-at-end", "space", "empty-extension", "bad-space"],
)
def test_lenient_chunk_is_refused_or_forwarded_strictly(wire: Wire, raw_body: bytes) -> None:
    client = wire.client()
    client.send(chunked_post(raw_body))
    if wire.upstream.got_nothing_for(0.3):
        assert client.read_reply().status == 400
        return
    upstream = wire.upstream.newest_held()
    try:
        assert upstream.read_request().body == b"hello"
    except Ended:
        return
    upstream.send(OK)
    assert client.read_reply().status == 200


@pytest.mark.parametrize("extension", [b";a", b";a=b", b';a="b;c"', b";a=b;c=d", b";" + b"x" * 1000])
def test_chunk_extension_does_not_change_the_body(wire: Wire, extension: bytes) -> None:
    raw_body = b"5%b\r\nhello\r\n0%b\r\n\r\n" % (extension, extension)
    client = wire.client()
    client.send(chunked_post(raw_body))
    upstream = wire.upstream_for(client)
    assert upstream.read_request().body == b"hello"


def test_endless_chunk_extension_is_cut_off(wire: Wire) -> None:
    client = wire.client()
    sending = client.send_in_background(chunked_post(b"5;" + b"x" * 8_000_000 + b"\r\nhello\r\n0\r\n\r\n"))
    if not wire.upstream.got_nothing_for(1):
        with pytest.raises(Ended):
            wire.upstream.newest_held().read_request()
    with suppress(Ended):
        assert client.read_reply().status in {400, 413}
    client.close()
    sending.finish()


@pytest.mark.parametrize("size", [b"5", b"05", b"0000000005", b"A", b"a", b"1a", b"1A"])
def test_chunk_size_is_hexadecimal_in_any_spelling(wire: Wire, size: bytes) -> None:
    data = b"x" * int(size, 16)
    assert wire.forward(chunked_post(size + b"\r\n" + data + b"\r\n" + LAST_CHUNK))[0].body == data


def test_chunked_body_arrives_chunked(wire: Wire) -> None:
    received, _ = wire.forward(chunked_post(chunks(b"one", b"two", b"three") + LAST_CHUNK))
    assert received.values(b"transfer-encoding") == [b"chunked"]
    assert received.value(b"content-length") is None
    assert received.body == b"onetwothree"


def test_empty_chunked_body_arrives_empty(wire: Wire) -> None:
    received, _ = wire.forward(chunked_post(LAST_CHUNK))
    assert received.body == b""


def test_chunked_body_in_single_bytes_arrives_whole(wire: Wire) -> None:
    request = chunked_post(chunks(b"one", b"two") + LAST_CHUNK)
    client = wire.client()
    client.send_pieces((request[i : i + 1] for i in range(len(request))), gap_s=0.0005)
    assert wire.upstream_for(client).read_request().body == b"onetwo"


def test_request_trailers_reach_legacy(wire: Wire) -> None:
    raw_body = chunks(b"hello") + b"0\r\nX-Checksum: abc\r\nX-Second: \xe9\r\n\r\n"
    received, _ = wire.forward(chunked_post(raw_body, b"Trailer: X-Checksum, X-Second"))
    assert received.body == b"hello"
    assert [(name.lower(), value) for name, value in received.trailers] == [
        (b"x-checksum", b"abc"),
        (b"x-second", b"\xe9"),
    ]


@pytest.mark.parametrize(
    "trailer", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: evil", b"Authorization: x"]
)
def test_trailer_that_would_change_the_request_does_not_reach_legacy(wire: Wire, trailer: bytes) -> None:
    client = wire.client()
    client.send(chunked_post(chunks(b"hello") + b"0\r\n" + trailer + b"\r\n\r\n"))
    if wire.upstream.got_nothing_for(0.2):
        assert client.read_reply().status == 400
        return
    try:
        received = wire.upstream.newest_held().read_request()
    except Ended:
        return
    assert received.trailers == ()
    assert received.body == b"hello"


def test_endless_trailers_are_cut_off(wire: Wire) -> None:
    lines = b"".join(b"X-%d: %b\r\n" % (n, b"v" * 100) for n in range(20_000))
    client = wire.client()
    sending = client.send_in_background(chunked_post(chunks(b"hello") + b"0\r\n" + lines + b"\r\n"))
    if not wire.upstream.got_nothing_for(1):
        with pytest.raises(Ended):
            wire.upstream.newest_held().read_request()
    with suppress(Ended):
        assert client.read_reply().status in {400, 413, 431}
    client.close()
    sending.finish()


def test_chunked_body_cut_short_is_not_delivered_as_whole(wire: Wire) -> None:
    client, upstream = wire.ask(chunked_post(chunks(b"hello")))
    upstream.read_request_head()
    assert upstream.read_chunk() == b"hello"
    client.send(b"5\r\nwo")
    client.close()
    with pytest.raises(Ended):
        upstream.read_chunked()


def test_request_behind_a_chunked_body_is_the_next_request(wire: Wire) -> None:
    client = wire.client()
    client.send(chunked_post(chunks(b"hello") + LAST_CHUNK) + get(b"/api/next"))
    for target in (b"/api/wire", b"/api/next"):
        upstream = wire.upstream_for(client)
        assert upstream.read_request().target == target
        upstream.send(OK)
        wire.upstream.release(upstream)
        assert client.read_reply().body == b"ok"
