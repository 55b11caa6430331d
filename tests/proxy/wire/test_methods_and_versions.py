"""Request lines: methods, versions, and what is no HTTP/1.1 at all. Source: RFC 9112 §2.2, §2.3, §3; RFC 9110 §9."""

from __future__ import annotations

import pytest

from tests.proxy.wire.http1 import Ended
from tests.proxy.wire.upstream import OK
from tests.proxy.wire.wire import SERVED_BY, Wire, get, message

REFUSED_METHOD = {400, 405, 501}


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"PROPFIND"])
def test_method_reaches_legacy(wire: Wire, method: bytes) -> None:
    received, _ = wire.forward(message(method + b" /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: 0"))
    assert received.method == method


@pytest.mark.parametrize("lines", [[], [b"Origin: http://localhost", b"Access-Control-Request-Method: POST"]])
def test_options_is_forwarded_or_answered_as_legacy_answers_it(wire: Wire, lines: list[bytes]) -> None:
    """Legacy answers OPTIONS on every path with 204; preflights are the proxy's own."""
    client = wire.client()
    client.send(message(b"OPTIONS /api/wire HTTP/1.1", b"Host: localhost", *lines))
    if wire.upstream.got_nothing_for(0.2):
        reply = client.read_reply()
        assert (reply.status, reply.value(SERVED_BY)) == (204, b"native")
    else:
        assert wire.upstream.newest_held().read_request().method == b"OPTIONS"


@pytest.mark.parametrize("method", [b"TRACE", b"FOO", b"get", b"Get", b"X-METHOD_1.2!"])
def test_unusual_method_is_forwarded_as_it_is_or_refused(wire: Wire, method: bytes) -> None:
    received = wire.forwarded_or_refused(message(method + b" /api/wire HTTP/1.1", b"Host: localhost"), REFUSED_METHOD)
    assert received is None or received.method == method


@pytest.mark.parametrize("target", [b"localhost:443", b"/api/wire", b"127.0.0.1:22"])
def test_connect_is_refused(wire: Wire, target: bytes) -> None:
    wire.refused(message(b"CONNECT " + target + b" HTTP/1.1", b"Host: localhost"), REFUSED_METHOD)


@pytest.mark.parametrize("method", [b"GE(T", b"GE\x00T", b"G\xc9T", b"\x16\x03\x01", b"", b"GET\r", b"GET:"])
def test_method_that_is_no_token_is_refused(wire: Wire, method: bytes) -> None:
    wire.refused(message(method + b" /api/wire HTTP/1.1", b"Host: localhost"), REFUSED_METHOD)


def test_request_of_http_1_2_is_forwarded_as_1_1_or_refused(wire: Wire) -> None:
    received = wire.forwarded_or_refused(message(b"GET /api/wire HTTP/1.2", b"Host: localhost"), {400, 505})
    assert received is None or received.version == b"HTTP/1.1"


@pytest.mark.parametrize(
    "version",
    [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10", b"HTTP/1", b"HTTP/11", b"http/1.1", b"HTTP/1.x", b"XTTP/1.1"],
)
def test_version_that_is_not_1_x_is_refused(wire: Wire, version: bytes) -> None:
    wire.refused(message(b"GET /api/wire " + version, b"Host: localhost"), {400, 505})


@pytest.mark.parametrize(
    "line",
    [b"GET  /api/wire HTTP/1.1", b"GET /api/wire  HTTP/1.1", b"GET\t/api/wire\tHTTP/1.1", b"GET /api/wire HTTP/1.1 "],
)
def test_odd_white_space_in_the_request_line_is_refused_or_not_forwarded(wire: Wire, line: bytes) -> None:
    received = wire.forwarded_or_refused(message(line, b"Host: localhost"), {400})
    assert received is None or received.start == b"GET /api/wire HTTP/1.1"


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /api/wire\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(40, 200)) + b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x00\x00\x00\r\n\r\n",
    ],
    ids=["http2-preface", "http-0.9", "tls-hello", "nonsense", "ssh", "nul"],
)
def test_what_is_no_http_1_request_ends_the_connection(wire: Wire, bytes_sent: bytes) -> None:
    client = wire.client()
    client.send(bytes_sent)
    try:
        reply = client.read_reply()
    except Ended:
        pass
    else:
        assert reply.status in {400, 501, 505}
        assert reply.value(SERVED_BY)
        assert client.ends_within(3)
    assert wire.upstream.got_nothing_for(0.05)


@pytest.mark.parametrize("blank", [b"\r\n", b"\r\n\r\n"])
def test_blank_lines_before_a_request_are_ignored(wire: Wire, blank: bytes) -> None:
    received, _ = wire.forward(blank + get())
    assert received.start == b"GET /api/wire HTTP/1.1"


def test_blank_line_behind_a_post_body_is_ignored(wire: Wire) -> None:
    client = wire.client()
    wire.forward(message(b"POST /a HTTP/1.1", b"Host: localhost", b"Content-Length: 2") + b"hi", client=client)
    client.send(b"\r\n")
    received, _ = wire.forward(get(b"/b"), client=client)
    assert received.target == b"/b"


@pytest.mark.parametrize("pieces", [1, 7])
def test_request_that_arrives_in_small_pieces_is_one_request(wire: Wire, pieces: int) -> None:
    request = get(b"/api/pieces?a=b", b"X-Long: " + b"v" * 50)
    client = wire.client()
    client.send_pieces((request[i : i + pieces] for i in range(0, len(request), pieces)), gap_s=0.001)
    upstream = wire.upstream_for(client)
    received = upstream.read_request()
    upstream.send(OK)
    assert received.lower_fields() == [(b"host", b"localhost"), (b"x-long", b"v" * 50)]
    assert client.read_reply().status == 200
