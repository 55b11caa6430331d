"""A reply that is broken or cut short never looks whole to a client. Source: RFC 9112 §6.3, §8; DESIGN section 4."""

from __future__ import annotations

import pytest

from tests.proxy.wire.http1 import Ended, WasReset
from tests.proxy.wire.wire import LAST_CHUNK, Wire, assert_gateway_error, chunks, get, message, ok, post

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN_HEADS = {
    "garbage": b"garbage garbage garbage\r\n\r\n",
    "other-protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "two-digit-status": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "four-digit-status": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status-below-100": b"HTTP/1.1 005 OK\r\nContent-Length: 0\r\n\r\n",
    "status-zero": b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "no-status": b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "word-status": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "nul-in-value": b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "no-colon": b"HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n",
    "space-in-name": b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n",
    "lengths-differ": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "length-list-differs": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc",
    "negative-length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "signed-length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "word-length": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "huge-length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok",
    "huge-head": b"HTTP/1.1 200 OK\r\nX-Long: " + b"v" * 1_000_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "endless-fields": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000 + b"Content-Length: 0\r\n\r\n",
    "half-a-head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half-a-status-line": b"HTTP/1.",
}


@pytest.mark.parametrize("reply_bytes", BROKEN_HEADS.values(), ids=BROKEN_HEADS.keys())
def test_broken_reply_head_is_a_gateway_error_and_ends_the_upstream_connection(wire: Wire, reply_bytes: bytes) -> None:
    client, upstream = wire.ask(post(b"x"))
    upstream.read_request()
    sending = upstream.send_in_background(reply_bytes)
    if reply_bytes in {BROKEN_HEADS["half-a-head"], BROKEN_HEADS["half-a-status-line"]}:
        sending.finish()
        upstream.finish_sending()
    assert_gateway_error(client.read_reply())
    sending.finish()
    assert upstream.ends_within(2)
    assert wire.forward(get(b"/api/next"))[1].body == b"ok"


def test_reply_with_length_and_transfer_encoding_is_a_gateway_error_or_chunked_alone(wire: Wire) -> None:
    client, upstream = wire.ask(post(b"x"))
    upstream.read_request()
    upstream.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"hello") + LAST_CHUNK
    )
    reply = client.read_reply()
    if reply.status == 200:
        assert (reply.framing, reply.body, reply.value(b"content-length")) == ("chunked", b"hello", None)
    else:
        assert_gateway_error(reply)
    assert upstream.ends_within(2), "a connection with such a reply is not to be trusted again"


@pytest.mark.parametrize("lines", [b"Content-Length: 2\r\nContent-Length: 2", b"Content-Length: 2, 2"])
def test_reply_with_the_same_length_twice_is_a_gateway_error_or_has_it_once(wire: Wire, lines: bytes) -> None:
    client, upstream = wire.ask(post(b"x"))
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\nok")
    reply = client.read_reply()
    assert reply.status == 502 or (reply.values(b"content-length"), reply.body) == ([b"2"], b"ok")


@pytest.mark.parametrize("line", [b"X-A : b", b"X-A: a\r\n b", b"X-A: a\rb"])
def test_reply_field_that_must_not_be_passed_on_as_it_is_is_mended_or_a_gateway_error(wire: Wire, line: bytes) -> None:
    client, upstream = wire.ask(post(b"x"))
    upstream.read_request()
    upstream.send(ok(line))
    reply = client.read_reply()
    assert reply.status == 502 or (reply.value(b"x-a") or b"").split() in ([b"b"], [b"a", b"b"])


def test_sized_reply_cut_short_is_cut_short_for_the_client(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
    client.read_reply_head()
    assert client.read_exactly(5) == b"hello"
    upstream.finish_sending()
    assert client.ends_within(2)


def test_chunked_reply_cut_short_is_cut_short_for_the_client(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(CHUNKED + chunks(b"hello"))
    client.read_reply_head()
    assert client.read_chunk() == b"hello"
    upstream.finish_sending()
    assert client.ends_within(2), "no last chunk may be made up"


@pytest.mark.parametrize(
    "tail", [b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n0\r\nX-T: a\r\n", b"5"]
)
def test_chunked_reply_cut_anywhere_is_cut_short_for_the_client(wire: Wire, tail: bytes) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(CHUNKED + chunks(b"begin"))
    client.read_reply_head()
    assert client.read_chunk() == b"begin"
    upstream.send(tail)
    upstream.finish_sending()
    with pytest.raises(Ended):
        client.read_chunked()


@pytest.mark.parametrize(
    "bad", [b"g\r\n", b"-5\r\nhello\r\n", b"5\r\nhello!\r\n", b"\r\n\r\n", b"fffffffffffffffff\r\n", b"5\rhello\r\n"]
)
def test_bad_chunk_in_a_reply_is_an_abort_for_the_client(wire: Wire, bad: bytes) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(CHUNKED + chunks(b"begin"))
    client.read_reply_head()
    assert client.read_chunk() == b"begin"
    upstream.send(bad + b"0\r\n\r\n")
    with pytest.raises(Ended):
        client.read_chunked()
    assert upstream.ends_within(2)


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked", b"X-No: framing"])
def test_reply_reset_by_legacy_is_an_abort_for_the_client(wire: Wire, framing: bytes) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(message(b"HTTP/1.1 200 OK", framing) + chunks(b"hello"))
    head = client.read_reply_head()
    assert client.readable(2)
    upstream.reset()
    chunked = head.value(b"transfer-encoding") is not None
    with pytest.raises(Ended if chunked or head.value(b"content-length") else WasReset):
        client.read_chunked() if chunked else client.read_exactly(100) if head.value(
            b"content-length"
        ) else client.read_to_end()


@pytest.mark.parametrize("cut", ["closed", "reset"])
def test_http_1_0_client_learns_by_a_reset_that_a_chunked_reply_was_cut_short(wire: Wire, cut: str) -> None:
    """Nothing but a reset tells a client whose reply ends with the connection that it is not the end."""
    client, upstream = wire.ask(message(b"GET /api/wire HTTP/1.0", b"Host: localhost"))
    upstream.read_request()
    upstream.send(CHUNKED + chunks(b"hello"))
    client.read_reply_head()
    assert client.read_exactly(5) == b"hello"
    upstream.finish_sending() if cut == "closed" else upstream.reset()
    with pytest.raises(WasReset):
        client.read_to_end()


def test_client_connection_behind_a_truncated_reply_takes_no_further_request(wire: Wire) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
    client.read_reply_head()
    assert client.read_exactly(5) == b"hello"
    client.send(get(b"/api/behind"))
    upstream.finish_sending()
    assert client.ends_within(2)
    assert wire.upstream.got_nothing_for(0.1)
