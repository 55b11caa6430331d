"""A slow reader on one side slows the writer on the other; the proxy holds little in between."""

from __future__ import annotations

import time

import pytest

from tests.proxy.wire.upstream import OK
from tests.proxy.wire.wire import LAST_CHUNK, Wire, chunked_post, chunks, get, ok, post

SIZE = 60_000_000
BUFFERED_AT_MOST = 16_000_000  # the kernel's socket buffers on both connections, and ours
GROWTH_AT_MOST = 8_000_000


@pytest.fixture
def warm_wire(own_wire: Wire) -> Wire:
    """A proxy that has already done its first large exchange, so that growth is growth."""
    client, upstream = own_wire.ask(get())
    upstream.read_request()
    sending = upstream.send_in_background(ok(body=b"x" * 5_000_000))
    client.read_reply()
    sending.finish()
    own_wire.upstream.release(upstream)
    own_wire.forward(post(b"x" * 50_000))
    return own_wire


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_reply_to_a_slow_reader_waits_in_legacy(warm_wire: Wire, chunked: bool) -> None:
    piece = bytes(100_000)
    body = chunks(*[piece] * 600) + LAST_CHUNK if chunked else bytes(SIZE)
    head = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
    before = warm_wire.proxy.resident_bytes()
    client = warm_wire.client(receive_buffer_bytes=65_536)
    client.send(get())
    upstream = warm_wire.upstream_for(client)
    upstream.read_request()
    sending = upstream.send_in_background(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)
    assert sending.stalls() < BUFFERED_AT_MOST
    assert warm_wire.proxy.resident_bytes() - before < GROWTH_AT_MOST
    assert len(client.read_reply().body) == SIZE
    sending.finish()


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_upload_to_a_slow_legacy_waits_in_the_client(warm_wire: Wire, chunked: bool) -> None:
    piece = bytes(100_000)
    before = warm_wire.proxy.resident_bytes()
    client = warm_wire.client()
    sending = client.send_in_background(
        chunked_post(chunks(*[piece] * 600) + LAST_CHUNK) if chunked else post(bytes(SIZE))
    )
    upstream = warm_wire.upstream_for(client)
    assert sending.stalls() < BUFFERED_AT_MOST
    assert warm_wire.proxy.resident_bytes() - before < GROWTH_AT_MOST
    assert len(upstream.read_request().body) == SIZE
    sending.finish()
    upstream.send(OK)
    assert client.read_reply().status == 200


def test_one_slow_reader_does_not_slow_others(warm_wire: Wire) -> None:
    slow = warm_wire.client(receive_buffer_bytes=65_536)
    slow.send(get(b"/api/slow"))
    upstream = warm_wire.upstream_for(slow)
    upstream.read_request()
    sending = upstream.send_in_background(ok(body=bytes(SIZE)))
    sending.stalls()
    begin = time.monotonic()
    for _ in range(20):
        assert warm_wire.forward(get())[1].status == 200
    assert time.monotonic() - begin < 4
    slow.reset()
    sending.finish()


def test_endless_pipeline_of_a_client_that_does_not_read_is_not_stored(warm_wire: Wire) -> None:
    """Requests behind one that is still being answered wait in the client, not in the proxy's memory."""
    before = warm_wire.proxy.resident_bytes()
    client, upstream = warm_wire.ask(get(b"/api/first"))
    upstream.read_request()
    sending = client.send_in_background(get(b"/api/behind") * 400_000)
    assert sending.stalls() < BUFFERED_AT_MOST
    assert warm_wire.proxy.resident_bytes() - before < GROWTH_AT_MOST
    client.reset()
    sending.finish()
