"""Status lines and reply bodies reach each client in a form it understands. Source: RFC 9112 §4, §6, §7."""

from __future__ import annotations

import pytest

from tests.proxy.wire.http1 import Ended
from tests.proxy.wire.wire import LAST_CHUNK, Wire, chunks, get, message, ok

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GET_1_0 = message(b"GET /api/wire HTTP/1.0", b"Host: localhost")


@pytest.mark.parametrize("reason", [b"OK", b"All Is Well", b"Not OK", b"caf\xe9", b"a\tb", b"!#$%&()[]{}"])
def test_reason_phrase_is_kept(wire: Wire, reason: bytes) -> None:
    _, reply = wire.forward(get(), b"HTTP/1.1 200 " + reason + b"\r\nContent-Length: 0\r\n\r\n")
    assert reply.reason == reason


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 404 "])
def test_empty_reason_phrase_is_kept(wire: Wire, start: bytes) -> None:
    _, reply = wire.forward(get(), start + b"\r\nContent-Length: 0\r\n\r\n")
    assert (reply.status, reply.reason) == (int(start.split()[1]), b"")


@pytest.mark.parametrize(
    "status", [200, 201, 207, 226, 299, 300, 400, 401, 418, 422, 429, 451, 499, 500, 503, 504, 599]
)
def test_status_is_kept(wire: Wire, status: int) -> None:
    _, reply = wire.forward(get(), message(b"HTTP/1.1 %d Some" % status, b"Content-Length: 4") + b"body")
    assert (reply.status, reply.reason, reply.body) == (status, b"Some", b"body")
    assert reply.value(b"x-signet-proxy-error") is None


def test_unauthorized_reply_keeps_its_challenge(wire: Wire) -> None:
    _, reply = wire.forward(get(), message(b"HTTP/1.1 401 X", b"WWW-Authenticate: Bearer", b"Content-Length: 0"))
    assert reply.value(b"www-authenticate") == b"Bearer"


def test_reply_that_ends_with_its_connection_is_whole(wire: Wire) -> None:
    reply = wire.forward_reply(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil close")
    assert reply.body == b"until close"
    assert reply.framing in {"chunked", "close"}


def test_empty_reply_that_ends_with_its_connection_is_whole(wire: Wire) -> None:
    assert wire.forward_reply(b"HTTP/1.1 200 OK\r\n\r\n").body == b""


def test_reply_that_ends_with_its_connection_streams(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\n")
    chunked = client.read_reply_head().value(b"transfer-encoding") == b"chunked"
    for piece in (b"first", b"again"):
        upstream.send(piece)
        assert (client.read_chunk() if chunked else client.read_exactly(5)) == piece


def test_http_1_0_reply_of_legacy_is_understood(wire: Wire) -> None:
    reply = wire.forward_reply(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold style")
    assert reply.body == b"old style"
    assert reply.start.startswith(b"HTTP/1.1 200")


def test_http_1_0_reply_with_a_length_ends_there(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")
    assert client.read_reply().body == b"old"
    assert upstream.ends_within(2), "an HTTP/1.0 connection is not kept unless legacy says so"


def test_chunked_reply_reaches_an_http_1_0_client_without_chunks(wire: Wire) -> None:
    client = wire.client()
    _, reply = wire.forward(GET_1_0, CHUNKED + chunks(b"one", b"two") + LAST_CHUNK, client=client)
    assert (reply.framing, reply.body) == ("close", b"onetwo")


def test_chunked_reply_closes_an_http_1_0_client_that_asked_to_be_kept(wire: Wire) -> None:
    request = message(b"GET /api/wire HTTP/1.0", b"Host: localhost", b"Connection: keep-alive")
    _, reply = wire.forward(request, CHUNKED + chunks(b"one", b"two") + LAST_CHUNK)
    assert reply.body == b"onetwo"
    assert (reply.value(b"connection") or b"close").lower() == b"close"


def test_sized_reply_reaches_an_http_1_0_client_sized(wire: Wire) -> None:
    _, reply = wire.forward(GET_1_0, ok(body=b"sized"))
    assert (reply.framing, reply.body) == ("length", b"sized")


def test_reply_that_ends_with_its_connection_reaches_an_http_1_0_client_so(wire: Wire) -> None:
    reply = wire.forward_reply(b"HTTP/1.1 200 OK\r\n\r\nuntil close", GET_1_0)
    assert (reply.framing, reply.body) == ("close", b"until close")


def test_chunk_extensions_of_a_reply_do_not_change_its_body(wire: Wire) -> None:
    _, reply = wire.forward(get(), CHUNKED + b'5;a="b"\r\nhello\r\n0;last\r\n\r\n')
    assert reply.body == b"hello"


@pytest.mark.parametrize("coding", [b"Chunked", b"CHUNKED", b"chunked "])
def test_chunked_reply_is_understood_in_any_spelling(wire: Wire, coding: bytes) -> None:
    _, reply = wire.forward(
        get(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    assert reply.body == b"hello"


def test_trailers_of_a_chunked_reply_reach_the_client(wire: Wire) -> None:
    head = message(b"HTTP/1.1 200 OK", b"Trailer: X-Sum, X-Time", b"Transfer-Encoding: chunked")
    stream = head + chunks(b"hello") + b"0\r\nX-Sum: abc\r\nX-Time: 5\r\n\r\n"
    _, reply = wire.forward(get(b"/api/wire", b"TE: trailers", b"Connection: TE"), stream)
    assert reply.body == b"hello"
    assert reply.value(b"trailer") == b"X-Sum, X-Time"
    assert [(name.lower(), value) for name, value in reply.trailers] == [(b"x-sum", b"abc"), (b"x-time", b"5")]


def test_trailers_do_not_reach_an_http_1_0_client(wire: Wire) -> None:
    stream = CHUNKED + chunks(b"hello") + b"0\r\nX-Sum: abc\r\n\r\n"
    _, reply = wire.forward(GET_1_0, stream)
    assert reply.body == b"hello"


@pytest.mark.parametrize("trailer", [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Connection: close"])
def test_framing_fields_in_reply_trailers_do_not_reach_the_client(wire: Wire, trailer: bytes) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(CHUNKED + chunks(b"hello"))
    client.read_reply_head()
    upstream.send(b"0\r\n" + trailer + b"\r\n\r\n")
    try:
        assert client.read_chunked() == (b"hello", ())
    except Ended:
        return  # refused with the whole reply


def test_connection_is_reused_behind_trailers(wire: Wire) -> None:
    client, before = wire.client(), wire.upstream.connections_made
    wire.forward(get(), CHUNKED + chunks(b"hello") + b"0\r\nX-Sum: abc\r\n\r\n", client=client)
    assert wire.forward(get(), client=client)[1].body == b"ok"
    assert wire.upstream.connections_made - before == 1
