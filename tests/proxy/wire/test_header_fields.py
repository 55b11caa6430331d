"""Header fields pass both ways as they were sent, and none is invented. Source: RFC 9110 §5."""

from __future__ import annotations

import pytest

from tests.proxy.wire.wire import SERVED_BY, Wire, get, message, ok, post, without


def test_request_fields_keep_order_case_and_duplicates(wire: Wire) -> None:
    lines = [
        b"X-B: 1",
        b"x-a: 2",
        b"X-B: 3",
        b"Accept: */*",
        b"x-b: 4",
        b"User-Agent: wire",
        b"Cookie: a=1",
        b"Cookie: b=2",
    ]
    received, _ = wire.forward(get(b"/api/wire", *lines))
    assert received.fields == ((b"Host", b"localhost"), *(tuple(line.split(b": ", 1)) for line in lines))


def test_no_field_is_added_to_a_plain_request(wire: Wire) -> None:
    received, _ = wire.forward(get())
    assert received.lower_fields() == [(b"host", b"localhost")]


def test_no_field_is_added_to_a_sized_request(wire: Wire) -> None:
    received, _ = wire.forward(post(b"{}", b"Content-Type: application/json"))
    assert received.lower_fields() == [
        (b"host", b"localhost"),
        (b"content-length", b"2"),
        (b"content-type", b"application/json"),
    ]


def test_reply_gets_the_name_of_who_answered_and_nothing_else(wire: Wire) -> None:
    _, reply = wire.forward(get(), ok(b"X-One: 1"))
    assert without(reply.lower_fields(), SERVED_BY) == [(b"x-one", b"1"), (b"content-length", b"2")]
    assert reply.value(SERVED_BY) == b"legacy"


def test_reply_fields_keep_order_case_and_duplicates(wire: Wire) -> None:
    lines = [
        b"X-B: 1",
        b"x-a: 2",
        b"X-B: 3",
        b"Date: Tue, 15 Nov 1994 08:12:31 GMT",
        b"Server: bun",
        b'ETag: "x"',
        b"Vary: Accept",
        b"Vary: Cookie",
        b"WWW-Authenticate: Bearer",
        b'WWW-Authenticate: Basic realm="a, b"',
    ]
    _, reply = wire.forward(get(), message(b"HTTP/1.1 200 OK", *lines, b"Content-Length: 2") + b"ok")
    expected = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
    assert [f for f in reply.fields if f[0].lower() not in {SERVED_BY, b"content-length"}] == expected


def test_set_cookie_lines_stay_apart_and_in_order(wire: Wire) -> None:
    cookies = [b"a=1; Path=/", b"b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT", b"a=3"]
    _, reply = wire.forward(get(), ok(*(b"Set-Cookie: " + cookie for cookie in cookies)))
    assert reply.values(b"set-cookie") == cookies


def test_cookies_of_one_client_never_reach_another_request(wire: Wire) -> None:
    wire.forward(get(), ok(b"Set-Cookie: session=secret; Path=/"))
    received, _ = wire.forward(get())
    assert received.value(b"cookie") is None


@pytest.mark.parametrize("value", [b"caf\xe9", b"\xc3\xa9\xff\x80", b"a\tb", b'"quoted, comma"', b"  in  side  ", b""])
def test_field_value_passes_both_ways_as_it_is(wire: Wire, value: bytes) -> None:
    received, reply = wire.forward(get(b"/api/wire", b"X-Value: " + value), ok(b"X-Value: " + value))
    assert received.values(b"x-value") == [value.strip()]
    assert reply.values(b"x-value") == [value.strip()]


@pytest.mark.parametrize("line", [b"X-Value:v", b"X-Value:   v", b"X-Value: v   ", b"X-Value:\tv\t"])
def test_white_space_around_a_value_is_not_part_of_it(wire: Wire, line: bytes) -> None:
    received, reply = wire.forward(get(b"/api/wire", line), ok(line))
    assert received.values(b"x-value") == [b"v"]
    assert reply.values(b"x-value") == [b"v"]


@pytest.mark.parametrize("name", [b"x_under_score", b"X.Dot", b"!#$%&'*+-.^_`|~09aZ", b"1"])
def test_every_token_is_a_field_name(wire: Wire, name: bytes) -> None:
    received, reply = wire.forward(get(b"/api/wire", name + b": v"), ok(name + b": v"))
    assert received.values(name) == [b"v"]
    assert reply.values(name) == [b"v"]


def test_hundred_fields_pass_both_ways(wire: Wire) -> None:
    lines = [b"X-%d: %d" % (n, n) for n in range(100)]
    received, reply = wire.forward(get(b"/api/wire", *lines), ok(*lines))
    assert len(received.fields) == 101
    assert [reply.value(b"x-%d" % n) for n in range(100)] == [b"%d" % n for n in range(100)]


def test_field_of_12_kib_passes_both_ways(wire: Wire) -> None:
    line = b"X-Long: " + b"v" * 12_288
    received, reply = wire.forward(get(b"/api/wire", line), ok(line))
    assert received.value(b"x-long") == b"v" * 12_288
    assert reply.value(b"x-long") == b"v" * 12_288


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST", b"127.0.0.1:1", b"[::1]:3850", b"[::1]"])
def test_host_is_preserved(wire: Wire, host: bytes) -> None:
    received, _ = wire.forward(message(b"GET /api/wire HTTP/1.1", b"Host: " + host))
    assert received.values(b"host") == [host]


def test_authorization_and_origin_reach_legacy(wire: Wire) -> None:
    lines = (b"Authorization: Bearer a.b", b"Origin: http://localhost:3850", b"X-Signet-Actor: wire")
    received, _ = wire.forward(get(b"/api/wire", *lines))
    assert received.value(b"authorization") == b"Bearer a.b"
    assert received.value(b"origin") == b"http://localhost:3850"
    assert received.value(b"x-signet-actor") == b"wire"


def test_encoded_body_passes_untouched(wire: Wire) -> None:
    body = b"\x1f\x8b\x08 not really gzip \x00\xff"
    received, reply = wire.forward(
        get(b"/api/wire", b"Accept-Encoding: gzip, br"),
        ok(b"Content-Encoding: gzip", b"Vary: Accept-Encoding", body=body),
    )
    assert received.value(b"accept-encoding") == b"gzip, br"
    assert reply.value(b"content-encoding") == b"gzip"
    assert reply.body == body


def test_client_that_asks_for_gzip_does_not_get_what_legacy_did_not_send(wire: Wire) -> None:
    _, reply = wire.forward(get(b"/api/wire", b"Accept-Encoding: gzip"), ok(body=b"text " * 1000))
    assert reply.value(b"content-encoding") is None
    assert reply.body == b"text " * 1000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_passed_on_not_followed(wire: Wire, status: int) -> None:
    reply_bytes = message(b"HTTP/1.1 %d Go" % status, b"Location: /elsewhere?x", b"Content-Length: 0")
    _, reply = wire.forward(get(), reply_bytes)
    assert (reply.status, reply.value(b"location")) == (status, b"/elsewhere?x")
    assert wire.upstream.got_nothing_for(0.05)


def test_proxy_set_in_the_environment_is_not_asked(wire: Wire) -> None:
    received, reply = wire.forward(get(b"/api/environment"))
    assert (received.target, reply.body) == (b"/api/environment", b"ok")


@pytest.mark.parametrize(
    "line",
    [
        b"X-A : v",
        b"X-A\t: v",
        b"X A: v",
        b": v",
        b"X-A",
        b"X(A): v",
        b"X\xc9: v",
        b"X-A: v\x00w",
        b"X-A: v\rw",
        b"X-A: v\x01w",
        b"X-A: v\x0bw",
        b"X-A: v\x7fw",
        b"X\x00A: v",
        b"\x00",
    ],
)
def test_malformed_field_line_is_refused(wire: Wire, line: bytes) -> None:
    wire.refused(get(b"/api/wire", line, b"X-Z: z"))


@pytest.mark.parametrize("line", [b" X-A: v", b"\tX-A: v", b" Host: localhost"])
def test_white_space_before_the_first_field_is_refused_or_dropped(wire: Wire, line: bytes) -> None:
    wire.refused(message(b"GET /api/wire HTTP/1.1", line, b"Host: localhost"))


@pytest.mark.parametrize("fold", [b"\r\n w", b"\r\n\tw", b"\r\n   w", b"\r\n \r\n w"])
def test_folded_field_line_is_refused_or_unfolded(wire: Wire, fold: bytes) -> None:
    received = wire.forwarded_or_refused(get(b"/api/wire", b"X-A: v" + fold, b"X-Z: z"), {400})
    if received is not None:
        assert [value.split() for value in received.values(b"x-a")] == [[b"v", b"w"]]
        assert received.value(b"x-z") == b"z"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /api/wire HTTP/1.1\nHost: localhost\n\n",
        b"GET /api/wire HTTP/1.1\r\nHost: localhost\nX-A: v\r\n\r\n",
        b"GET /api/wire HTTP/1.1\r\nHost: localhost\r\nX-A: v\n\r\n",
        b"GET /api/wire HTTP/1.1\r\nHost: localhost\r\n\n",
    ],
)
def test_bare_line_feed_ends_a_line_or_is_refused(wire: Wire, request_bytes: bytes) -> None:
    received = wire.forwarded_or_refused(request_bytes, {400})
    if received is not None:
        assert received.value(b"host") == b"localhost"
        assert received.value(b"x-a") in {None, b"v"}
