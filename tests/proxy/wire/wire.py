"""A client, the proxy and a scripted upstream in one line, with the steps that most tests take.

Whatever the proxy answers by itself is judged in one place: `assert_own_reply`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tests.proxy.wire.client import Client, Reply
from tests.proxy.wire.http1 import Connection, Ended, Field
from tests.proxy.wire.process import ProxyProcess
from tests.proxy.wire.upstream import OK, Request, Upstream, UpstreamConnection

SERVED_BY = b"x-signet-served-by"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WELL_FORMED = {403, 405, 417}  # refused for what they ask: their end is known, and the connection may go on


@dataclass
class Wire:
    proxy: ProxyProcess
    upstream: Upstream
    clients: list[Client] = field(default_factory=list)

    def client(self, receive_buffer_bytes: int | None = None) -> Client:
        client = Client(self.proxy.port, receive_buffer_bytes)
        self.clients.append(client)
        return client

    def ask(self, request: bytes) -> tuple[Client, UpstreamConnection]:
        """A new client that has sent `request`, and the upstream connection on which it arrives."""
        client = self.client()
        client.send(request)
        return client, self.upstream_for(client)

    def upstream_for(self, client: Client) -> UpstreamConnection:
        """Where the client's request arrives. Raises AssertionError when the proxy answers by itself."""
        outcome = self._outcome(client)
        assert isinstance(outcome, UpstreamConnection), f"not forwarded; the proxy said {outcome}"
        return outcome

    def next_upstream(self) -> UpstreamConnection:
        """Where the next request arrives, of a client that may have replies which it has not read."""
        assert not self.upstream.got_nothing_for(5), "nothing reached the upstream within 5 s"
        return self.upstream.newest_held()

    def forward(self, request: bytes, reply: bytes = OK, client: Client | None = None) -> tuple[Request, Reply]:
        """`request` through the proxy and `reply` back: what the upstream got, and what the client got."""
        client = client or self.client()
        client.send(request)
        upstream = self.upstream_for(client)
        received = upstream.read_request()
        upstream.send(reply)
        answered = client.read_reply(request.split(b" ", 1)[0])
        self.upstream.release(upstream)
        return received, answered

    def forward_reply(self, reply: bytes, request: bytes | None = None) -> Reply:
        """What a client gets when the upstream answers `reply` and closes."""
        client, upstream = self.ask(request or get())
        upstream.read_request()
        upstream.send(reply)
        upstream.finish_sending()
        return client.read_reply((request or get()).split(b" ", 1)[0])

    def forwarded_or_refused(self, request: bytes, statuses: Collection[int]) -> Request | None:
        """What the upstream got, or None when the proxy refused with one of `statuses`: either is right here."""
        client = self.client()
        client.send(request)
        outcome = self._outcome(client)
        if isinstance(outcome, Reply):
            self._check_refusal(client, outcome, statuses)
            return None
        received = outcome.read_request()
        outcome.send(OK)
        assert client.read_reply(received.method).status == 200
        self.upstream.release(outcome)
        return received

    def refused(self, request: bytes, statuses: Collection[int] = (400,)) -> Reply:
        """The proxy's own refusal. Nothing reaches the upstream; a malformed request ends the client's connection."""
        client = self.client()
        client.send(request)
        outcome = self._outcome(client)
        assert isinstance(outcome, Reply), f"forwarded: {outcome.read_head()}"
        self._check_refusal(client, outcome, statuses)
        return outcome

    def reaches_legacy_or_ends(self, client: Client, request: bytes) -> Request | None:
        """What the upstream got of `request`, or None when the proxy has closed the client's connection instead."""
        try:
            client.send(request)
            outcome = self._outcome(client)
        except (OSError, Ended):
            return None
        assert isinstance(outcome, UpstreamConnection), f"{outcome}"
        return outcome.read_request()

    def _check_refusal(self, client: Client, reply: Reply, statuses: Collection[int]) -> None:
        assert reply.status in statuses, f"{reply.start!r} {reply.body!r}"
        assert_own_reply(reply)
        if reply.status not in WELL_FORMED:
            assert client.ends_within(3), "behind a malformed request nothing can be trusted"
        assert self.upstream.got_nothing_for(0.02), "a refused request must not reach the upstream"

    def _outcome(self, client: Client) -> UpstreamConnection | Reply:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if not self.upstream.got_nothing_for(0.01):
                return self.upstream.newest_held()
            if client.readable(0):
                return client.read_reply()
        raise AssertionError("neither a request reached the upstream nor a reply the client within 5 s")


def assert_own_reply(reply: Reply) -> None:
    """An answer of the proxy itself: names who answered, is JSON with an `error`, and shows no internals."""
    assert reply.value(SERVED_BY) not in {None, b"legacy"}, reply.fields
    assert isinstance(json.loads(reply.body)["error"], str)
    assert b"Traceback" not in reply.body
    assert b".py" not in reply.body


def assert_gateway_error(reply: Reply, statuses: Collection[int] = (502,)) -> None:
    assert reply.status in statuses, f"{reply.start!r} {reply.body!r}"
    assert reply.value(b"x-signet-proxy-error")
    assert_own_reply(reply)


def get(target: bytes = b"/api/wire", *lines: bytes) -> bytes:
    return message(b"GET " + target + b" HTTP/1.1", b"Host: localhost", *lines)


def post(body: bytes, *lines: bytes) -> bytes:
    """A sized POST."""
    head = message(b"POST /api/wire HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % len(body), *lines)
    return head + body


def chunked_post(raw_body: bytes, *lines: bytes) -> bytes:
    """A POST whose body is already in chunks."""
    return message(b"POST /api/wire HTTP/1.1", b"Host: localhost", b"Transfer-Encoding: chunked", *lines) + raw_body


def ok(*lines: bytes, body: bytes = b"ok") -> bytes:
    return message(b"HTTP/1.1 200 OK", *lines, b"Content-Length: %d" % len(body)) + body


def message(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunks(*pieces: bytes) -> bytes:
    """`pieces` as chunks, without the last one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


LAST_CHUNK = b"0\r\n\r\n"


def without(fields: list[Field], *names: bytes) -> list[Field]:
    return [(name, value) for name, value in fields if name not in names]


def seconds_until_closed(connection: Connection, at_most_s: float) -> float:
    """How long the peer takes to close. Raises AssertionError when it takes longer than `at_most_s`."""
    begin = time.monotonic()
    assert connection.ends_within(at_most_s), f"still open after {at_most_s} s"
    return time.monotonic() - begin


def eventually(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Poll until `condition()`. Raises AssertionError naming `what` did not come true."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.005)
