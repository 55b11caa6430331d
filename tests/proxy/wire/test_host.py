"""A request names one host, well formed. Source: RFC 9112 §3.2, DESIGN section 4 and 5."""

from __future__ import annotations

import pytest

from tests.proxy.wire.wire import Wire, get, message


def test_request_without_host_is_refused(wire: Wire) -> None:
    wire.refused(message(b"GET /api/wire HTTP/1.1", b"X-A: v"))


@pytest.mark.parametrize("second", [b"Host: localhost", b"host: 127.0.0.1", b"HOST: evil.example", b"Host:"])
def test_request_with_two_hosts_is_refused(wire: Wire, second: bytes) -> None:
    wire.refused(get(b"/api/wire", b"X-Between: x", second))


@pytest.mark.parametrize(
    "host",
    [
        b"a b",
        b"localhost, localhost",
        b"localhost/path",
        b"user@localhost",
        b"localhost:port",
        b"localhost:80:80",
        b"local\xe9host",
        b"[::1",
        b"http://localhost",
        b"localhost:-1",
        b"localhost?x",
        b"localhost#x",
        b"localhost\\x",
    ],
)
def test_malformed_host_is_refused(wire: Wire, host: bytes) -> None:
    wire.refused(message(b"GET /api/wire HTTP/1.1", b"Host: " + host), {400, 403})


@pytest.mark.parametrize("host", [b"evil.example", b"localhost.evil.example", b"127.0.0.1.evil.example", b"192.0.2.1"])
def test_foreign_host_is_forbidden_where_no_token_is_needed(wire: Wire, host: bytes) -> None:
    client = wire.client()
    client.send(message(b"GET /api/wire HTTP/1.1", b"Host: " + host))
    assert client.read_reply().status == 403
    assert wire.upstream.got_nothing_for(0.02)


def test_empty_host_is_refused_or_forwarded_empty(wire: Wire) -> None:
    client = wire.client()
    client.send(message(b"GET /api/wire HTTP/1.1", b"Host:"))
    if wire.upstream.got_nothing_for(0.2):
        assert client.read_reply().status in {400, 403}
    else:
        assert wire.upstream.newest_held().read_request().values(b"host") == [b""]


def test_http_1_0_request_without_host_reaches_legacy_as_a_request_it_accepts(wire: Wire) -> None:
    received, reply = wire.forward(message(b"GET /api/wire HTTP/1.0", b"X-A: v"))
    assert received.version == b"HTTP/1.0" or len(received.values(b"host")) == 1
    assert (reply.status, reply.body) == (200, b"ok")


def test_http_1_0_request_with_two_hosts_is_refused(wire: Wire) -> None:
    wire.refused(message(b"GET /api/wire HTTP/1.0", b"Host: localhost", b"Host: localhost"))
