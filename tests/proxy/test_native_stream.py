"""`/api/logs/stream` answered natively by a running proxy: framing, clients that leave, and the proxy's end."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.proxy.planted_proxy import PlantedProxy

# Follows the log as legacy does, and counts who follows.
STREAMING = """
openDatabase();
let open = 0;
const count = (change) => writeFileSync(`${home}/followers`, String((open += change)));
listen((request) => {
  if (new URL(request.url).pathname !== "/api/logs/stream") return Response.json(health);
  count(1);
  let timer;
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue('data: {"type":"connected"}\\n\\n');
      timer = setInterval(() => controller.enqueue('data: {"message":"theirs"}\\n\\n'), 50);
    },
    cancel() { clearInterval(timer); count(-1); },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
});
"""
FIELDS = b"Host: localhost\r\n\r\n"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[PlantedProxy]:
    with PlantedProxy(tmp_path, daemon=STREAMING) as running:
        running.until_legacy("ready")
        assert running.cli("cutover", "set", "logs", "native").exit_code == 0
        yield running


def sent(proxy: PlantedProxy, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(proxy.environment["SIGNET_PORT"])), 10)
    connection.sendall(request)
    return connection


def until(connection: socket.socket, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        piece = connection.recv(65_536)
        assert piece, f"the connection ended after {found!r}"
        found += piece
    return found


def followers(proxy: PlantedProxy, wanted: int) -> Callable[[], bool]:
    return lambda: (proxy.home_path / "followers").read_text() == str(wanted)


def test_head_has_no_body_and_the_next_reply_on_the_connection_is_whole(proxy: PlantedProxy) -> None:
    line = b"/api/logs/stream HTTP/1.1\r\n"
    with closing(sent(proxy, b"HEAD " + line + FIELDS + b"GET /api/logs HTTP/1.1\r\n" + FIELDS)) as connection:
        found = until(connection, b'"count":')

    head, _, rest = found.partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream" in head
    assert b"x-signet-served-by: native" in head
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_old_client_gets_the_events_unframed_until_the_connection_ends(proxy: PlantedProxy) -> None:
    with closing(sent(proxy, b"GET /api/logs/stream HTTP/1.0\r\n" + FIELDS)) as connection:
        found = until(connection, b"theirs")

    assert b"transfer-encoding" not in found
    assert b'\r\n\r\ndata: {"type":"connected"}\n\ndata: {"message":"theirs"}\n\n' in found


def test_when_the_client_leaves_legacys_stream_is_left_too(proxy: PlantedProxy) -> None:
    connections = [sent(proxy, b"GET /api/logs/stream HTTP/1.1\r\n" + FIELDS) for _ in range(5)]
    for connection in connections:
        until(connection, b"theirs")
    assert followers(proxy, 5)()

    for connection in connections:
        connection.close()

    proxy.wait_for(followers(proxy, 0))


def test_a_stop_ends_open_streams_also_of_a_client_that_reads_nothing(proxy: PlantedProxy) -> None:
    reading = sent(proxy, b"GET /api/logs/stream HTTP/1.1\r\n" + FIELDS)
    silent = sent(proxy, b"GET /api/logs/stream HTTP/1.1\r\n" + FIELDS)
    with closing(reading), closing(silent):
        until(reading, b"theirs")
        began_s = time.monotonic()
        os.kill(proxy.pid, signal.SIGTERM)
        assert proxy.wait(10) == 0
        assert time.monotonic() - began_s < 4.5

    assert "unexpected_error" not in proxy.output
    assert "Traceback" not in proxy.output
