"""Replies without a body, whatever their fields say; connections go on behind them. Source: RFC 9112 §6.3."""

from __future__ import annotations

import pytest

from tests.proxy.wire.wire import SERVED_BY, Wire, get, message, ok, without

HEAD = message(b"HEAD /api/wire HTTP/1.1", b"Host: localhost")


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 1234", b"Content-Type: text/plain"],
        [b"Content-Length: 0"],
        [b"X-A: b"],
        [b"Transfer-Encoding: chunked"],
    ],
)
def test_head_reply_keeps_its_fields_and_both_connections(wire: Wire, lines: list[bytes]) -> None:
    client, before = wire.client(), wire.upstream.connections_made
    received, reply = wire.forward(HEAD, message(b"HTTP/1.1 200 OK", *lines), client=client)
    assert received.method == b"HEAD"
    expected = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
    seen = without(reply.lower_fields(), SERVED_BY)
    assert seen == expected or seen == without(expected, b"transfer-encoding")
    assert wire.forward(get(b"/api/next"), client=client)[1].body == b"ok"
    assert wire.upstream.connections_made - before == 1


def test_head_reply_with_a_body_does_not_poison_the_next_reply(wire: Wire) -> None:
    client, upstream = wire.ask(HEAD)
    upstream.read_request()
    upstream.send(ok(body=b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"))
    assert client.read_reply(to=b"HEAD").status == 200
    assert wire.forward(get(b"/api/next"), client=client)[1].body == b"ok"


@pytest.mark.parametrize("status", [200, 404, 500])
def test_head_reply_keeps_its_status(wire: Wire, status: int) -> None:
    _, reply = wire.forward(HEAD, message(b"HTTP/1.1 %d X" % status, b"Content-Length: 9"))
    assert (reply.status, reply.value(b"content-length")) == (status, b"9")


@pytest.mark.parametrize("lines", [[], [b"X-A: b"], [b"Content-Length: 0"]])
def test_204_has_no_body_and_no_framing(wire: Wire, lines: list[bytes]) -> None:
    client, before = wire.client(), wire.upstream.connections_made
    _, reply = wire.forward(get(), message(b"HTTP/1.1 204 No Content", *lines), client=client)
    assert reply.status == 204
    assert reply.value(b"transfer-encoding") is None
    assert reply.value(b"content-length") in ({None, b"0"} if lines == [b"Content-Length: 0"] else {None})
    assert wire.forward(get(b"/api/next"), client=client)[1].body == b"ok"
    assert wire.upstream.connections_made - before == 1


@pytest.mark.parametrize(
    "lines",
    [[b'ETag: W/"x"', b"Content-Length: 1234"], [b'ETag: "x"', b"Cache-Control: no-cache"], [b"Content-Length: 0"]],
)
def test_304_keeps_its_fields_and_has_no_body(wire: Wire, lines: list[bytes]) -> None:
    client, before = wire.client(), wire.upstream.connections_made
    request = get(b"/api/wire", b'If-None-Match: "x"')
    received, reply = wire.forward(request, message(b"HTTP/1.1 304 Not Modified", *lines), client=client)
    assert received.value(b"if-none-match") == b'"x"'
    expected = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
    assert without(reply.lower_fields(), SERVED_BY) == expected
    assert wire.forward(get(b"/api/next"), client=client)[1].body == b"ok"
    assert wire.upstream.connections_made - before == 1


@pytest.mark.parametrize("status", [204, 304])
def test_body_where_none_may_be_does_not_poison_the_next_reply(wire: Wire, status: int) -> None:
    client, upstream = wire.ask(get())
    upstream.read_request()
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    upstream.send(message(b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(poison)) + poison)
    assert (client.read_reply().status, upstream.ends_within(2)) == (status, True)
    assert wire.forward(get(b"/api/next"), client=client)[1].body == b"ok"


def test_205_ends_where_it_says(wire: Wire) -> None:
    client = wire.client()
    _, reply = wire.forward(get(), message(b"HTTP/1.1 205 Reset Content", b"Content-Length: 0"), client=client)
    assert (reply.status, reply.body) == (205, b"")
    assert wire.forward(get(b"/api/next"), client=client)[1].body == b"ok"


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
@pytest.mark.parametrize("status", [204, 304])
def test_reply_without_body_ends_at_once_for_a_client_that_closes(wire: Wire, version: bytes, status: int) -> None:
    client = wire.client()
    request = message(b"GET /api/wire " + version, b"Host: localhost", b"Connection: close")
    _, reply = wire.forward(request, message(b"HTTP/1.1 %d X" % status), client=client)
    assert (reply.status, reply.body) == (status, b"")
    assert client.ends_within(2)
