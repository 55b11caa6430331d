"""Where a request ends is beyond doubt, or the request is refused and its connection with it.

Source: RFC 9112 §6, DESIGN section 4. What differs between two parsers is how requests are smuggled.
"""

from __future__ import annotations

import pytest

from tests.proxy.wire.http1 import content_length
from tests.proxy.wire.wire import LAST_CHUNK, Wire, chunked_post, chunks, get, message, post

SMUGGLED = get(b"/api/smuggled")


def sized(*lines: bytes) -> bytes:
    return message(b"POST /api/wire HTTP/1.1", b"Host: localhost", *lines)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 0"],
        [b"Transfer-Encoding: chunked", b"content-length:"],
        [b"Content-Length: 5", b"Transfer-Encoding: identity"],
        [b"Content-Length: 5", b"Transfer-Encoding:"],
        [b"Content-Length: 5", b"transfer-encoding:\tChunked"],
    ],
)
def test_length_and_transfer_encoding_together_are_refused(wire: Wire, lines: list[bytes]) -> None:
    wire.refused(sized(*lines) + LAST_CHUNK + SMUGGLED, {400, 501})


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 0", b"Content-Length: 5"],
        [b"Content-Length: 5", b"X-Between: x", b"content-length: 50"],
        [b"Content-Length: 5, 6"],
        [b"Content-Length: 5", b"Content-Length:"],
    ],
)
def test_lengths_that_differ_are_refused(wire: Wire, lines: list[bytes]) -> None:
    wire.refused(sized(*lines) + b"hello" + SMUGGLED)


@pytest.mark.parametrize("lines", [[b"Content-Length: 5", b"Content-Length: 5"], [b"Content-Length: 5, 5"]])
def test_length_given_twice_is_refused_or_forwarded_once(wire: Wire, lines: list[bytes]) -> None:
    received = wire.forwarded_or_refused(sized(*lines) + b"hello", {400})
    if received is not None:
        assert received.values(b"content-length") == [b"5"]
        assert received.body == b"hello"


@pytest.mark.parametrize(
    "value",
    [
        b"+5",
        b"-1",
        b"-0",
        b"0x5",
        b"5x",
        b"5 5",
        b"5;",
        b"5.0",
        b"5e0",
        b"5_0",
        b"five",
        b"",
        b"\x0b5",
        b"5\x0c",
        b'"5"',
        b"\xb25",
        b"5,",
        b",5",
        b"99999999999999999999999999",
        b"18446744073709551621",
    ],
)
def test_length_that_is_no_plain_number_is_refused(wire: Wire, value: bytes) -> None:
    wire.refused(sized(b"Content-Length: " + value) + b"hello" + SMUGGLED, {400, 413})


@pytest.mark.parametrize("value", [b"5", b"  5", b"5  ", b"\t5\t", b"005"])
def test_length_with_outer_white_space_or_zeros_means_the_same(wire: Wire, value: bytes) -> None:
    received = wire.forwarded_or_refused(sized(b"Content-Length:" + value) + b"hello", {400})
    if received is not None:
        assert (received.body, content_length(received)) == (b"hello", 5)


@pytest.mark.parametrize(
    "line", [b"Content-Length : 5", b"Content-Length\t: 5", b"Content Length: 5", b"Transfer-Encoding : chunked"]
)
def test_white_space_before_the_colon_of_a_framing_field_is_refused(wire: Wire, line: bytes) -> None:
    wire.refused(sized(line) + b"hello")


@pytest.mark.parametrize(
    "lines",
    [
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding: identity, chunked"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: chunkedx"],
        [b"Transfer-Encoding: chunked, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding:"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Transfer-Encoding: chunked\x0c"],
        [b"Transfer-Encoding: chunked\x00"],
        [b'Transfer-Encoding: "chunked"'],
        [b"Transfer-Encoding: chunked;q=1"],
        [b"Transfer-Encoding: chunked chunked"],
        [b"Transfer-Encoding: ch\xc3\xbanked"],
        [b"Transfer-Encoding: chun\r\n ked"],
        [b"Transfer-Encoding:\r\n chunked"],
    ],
)
def test_transfer_encoding_that_is_not_just_chunked_is_refused(wire: Wire, lines: list[bytes]) -> None:
    if lines == [b"Transfer-Encoding:\r\n chunked"]:
        received = wire.forwarded_or_refused(sized(*lines) + LAST_CHUNK, {400, 501})
        assert received is None or received.body == b""
    else:
        wire.refused(sized(*lines) + LAST_CHUNK + SMUGGLED, {400, 501})


@pytest.mark.parametrize("value", [b" chunked", b"chunked", b"\tchunked", b" chunked ", b" Chunked", b" CHUNKED"])
def test_chunked_is_understood_in_any_spelling(wire: Wire, value: bytes) -> None:
    request = sized(b"Transfer-Encoding:" + value) + chunks(b"hello") + LAST_CHUNK
    assert wire.forward(request)[0].body == b"hello"


@pytest.mark.parametrize("value", [b", chunked", b"chunked,", b",chunked,,", b"chunked\t"])
def test_chunked_in_an_unusual_list_is_refused_or_understood(wire: Wire, value: bytes) -> None:
    request = sized(b"Transfer-Encoding: " + value) + chunks(b"hello") + LAST_CHUNK
    received = wire.forwarded_or_refused(request, {400, 501})
    assert received is None or received.body == b"hello"


@pytest.mark.parametrize("keep_alive", [b"Connection: close", b"Connection: keep-alive"])
def test_transfer_encoding_in_http_1_0_is_refused(wire: Wire, keep_alive: bytes) -> None:
    head = message(b"POST /api/wire HTTP/1.0", b"Host: localhost", b"Transfer-Encoding: chunked", keep_alive)
    wire.refused(head + chunks(b"hello") + LAST_CHUNK)


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"POST"])
def test_request_without_length_or_encoding_has_no_body(wire: Wire, method: bytes) -> None:
    client = wire.client()
    head = message(method + b" /api/first HTTP/1.1", b"Host: localhost")
    client.send(head + get(b"/api/second"))
    for target in (b"/api/first", b"/api/second"):
        upstream = wire.upstream_for(client)
        assert upstream.read_request().target == target
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        wire.upstream.release(upstream)
        assert client.read_reply().status == 200


def test_body_that_looks_like_a_request_is_a_body(wire: Wire) -> None:
    received, _ = wire.forward(post(SMUGGLED))
    assert received.body == SMUGGLED
    received, _ = wire.forward(chunked_post(chunks(SMUGGLED) + LAST_CHUNK))
    assert received.body == SMUGGLED
    assert wire.upstream.got_nothing_for(0.05)


def test_sized_body_cut_short_is_not_delivered_as_whole(wire: Wire) -> None:
    client, upstream = wire.ask(sized(b"Content-Length: 10") + b"hello")
    assert upstream.read_request_head().value(b"content-length") == b"10"
    assert upstream.read_exactly(5) == b"hello"
    client.close()
    assert upstream.ends_within(1)


def test_sized_body_cut_short_by_a_half_close_is_not_delivered_as_whole(wire: Wire) -> None:
    client, upstream = wire.ask(sized(b"Content-Length: 10") + b"hello")
    upstream.read_request_head()
    assert upstream.read_exactly(5) == b"hello"
    client.finish_sending()
    assert upstream.ends_within(2)
    assert client.readable(2), "the client must learn that its request has ended"
