"""The legacy daemon's side: a listening socket whose connections a test answers by hand, byte by byte.

A thread holds the connections nobody is using: it takes new ones in, answers the proxy's own `/health` probes, notices
when the proxy closes, and hands a connection to the test as soon as a request arrives on it.
"""

from __future__ import annotations

import json
import os
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.proxy.wire.http1 import Connection, Fields, Head, Malformed, content_length, is_chunked

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Request(Head):
    """A request as the proxy sent it."""

    method: bytes = b""
    target: bytes = b""
    version: bytes = b""
    body: bytes = b""
    trailers: Fields = ()


class UpstreamConnection(Connection):
    """One connection from the proxy, in the hands of the test."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        super().__init__(sock)
        self.number = number
        self.used = False

    def read_request_head(self) -> Request:
        head = self.read_head()
        parts = head.start.split(b" ")
        if len(parts) != 3:
            raise Malformed(f"request line {head.start!r}")
        return Request(head.start, head.fields, method=parts[0], target=parts[1], version=parts[2])

    def read_request(self) -> Request:
        """The whole request. Raises Ended when the proxy gives it up half way."""
        head = self.read_request_head()
        trailers: Fields = ()
        if is_chunked(head):
            body, trailers = self.read_chunked()
        else:
            body = self.read_exactly(content_length(head) or 0)
        return Request(head.start, head.fields, head.method, head.target, head.version, body, trailers)


class Upstream:
    """Listens on a port of its own from construction to `close`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._arrived: queue.Queue[UpstreamConnection] = queue.Queue()
        self._held: list[UpstreamConnection] = []
        self._idle: set[UpstreamConnection] = set()
        self._made = 0
        self._orders: queue.Queue[Callable[[], None]] = queue.Queue()
        self._wake_in, self._wake_out = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._running = True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def connections_made(self) -> int:
        """How many connections the proxy has ever opened, probes included."""
        return self._made

    @property
    def idle_connections(self) -> int:
        return len(self._idle)

    def accept(self, within_s: float = 5.0) -> UpstreamConnection:
        """A connection on which a request has begun to arrive. Raises AssertionError when none does in time."""
        try:
            connection = self._arrived.get(timeout=within_s)
        except queue.Empty:
            raise AssertionError(f"no request reached the upstream within {within_s} s") from None
        self._held.append(connection)
        return connection

    def got_nothing_for(self, seconds: float) -> bool:
        try:
            connection = self._arrived.get(timeout=seconds)
        except queue.Empty:
            return True
        self._held.append(connection)
        return False

    def newest_held(self) -> UpstreamConnection:
        return self._held[-1]

    def release(self, connection: UpstreamConnection) -> None:
        """The test is done with a kept-alive connection: watch it for the next request."""
        self._held.remove(connection)
        if connection.buffer:
            self._arrived.put(connection)
        else:
            self._order(lambda: self._park(connection))

    def forget_all(self) -> None:
        """Close every connection and wait until the proxy has let go of them, so that the next test begins clean."""
        self._order(lambda: self._close_idle(wait=True))
        while not self._arrived.empty():
            self._held.append(self._arrived.get())
        while self._held:
            let_go(self._held.pop())

    def close_idle(self) -> None:
        """Close the kept-alive connections as a daemon does that is tired of waiting."""
        self._order(lambda: self._close_idle(wait=False))

    def reset_idle(self) -> None:
        self._order(self._reset_idle)

    def stop_listening(self) -> None:
        def stop() -> None:
            self._selector.unregister(self._listener)
            self._listener.close()

        self._order(stop)

    def listen_again(self) -> None:
        def listen() -> None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
            self._selector.register(self._listener, selectors.EVENT_READ)

        self._order(listen)

    def close(self) -> None:
        self.forget_all()
        self._running = False
        self._wake_in.send(b"x")
        self._thread.join(5)
        for connection in self._idle:
            connection.reset()
        for sock in (self._listener, self._wake_in, self._wake_out):
            sock.close()
        self._selector.close()

    def _order(self, action: Callable[[], None]) -> None:
        """Have the watching thread do `action`, and wait for it."""
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._orders.put(act)
        self._wake_in.send(b"x")
        assert done.wait(10), "the upstream's thread is stuck"

    def _watch(self) -> None:
        while self._running:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._take_in()
                elif key.fileobj is self._wake_out:
                    self._wake_out.recv(4096)
                else:
                    self._look_at(key.data)
            while not self._orders.empty():
                self._orders.get()()

    def _take_in(self) -> None:
        sock, _ = self._listener.accept()
        self._made += 1
        self._park(UpstreamConnection(sock, self._made))

    def _park(self, connection: UpstreamConnection) -> None:
        self._idle.add(connection)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def _unpark(self, connection: UpstreamConnection) -> None:
        self._idle.discard(connection)
        self._selector.unregister(connection.socket)

    def _look_at(self, connection: UpstreamConnection) -> None:
        try:
            begin = connection.socket.recv(64, socket.MSG_PEEK)
        except ConnectionError:
            begin = b""
        if begin.startswith(b"GET /health HTTP/1.1\r\n"):
            connection.read_head()
            connection.send(healthy(self.port))
            return
        self._unpark(connection)
        if begin:
            connection.used = True
            self._arrived.put(connection)
        else:
            connection.close()

    def _close_idle(self, wait: bool) -> None:
        # One that has carried nothing yet may be a probe under way: cutting it would make legacy look dead.
        for connection in [connection for connection in self._idle if connection.used]:
            self._unpark(connection)
            if wait:
                let_go(connection)
            else:
                connection.close()

    def _reset_idle(self) -> None:
        for connection in list(self._idle):
            self._unpark(connection)
            connection.reset()


def let_go(connection: UpstreamConnection) -> None:
    """Close in two steps, so that the proxy has seen the end when this returns; a proxy that holds on gets a reset."""
    with suppress(OSError):
        connection.socket.settimeout(1.0)
        connection.finish_sending()
        connection.drain_to_end()
    connection.reset()


def healthy(port: int) -> bytes:
    """A `/health` reply as the legacy daemon gives it. Legacy: GET /health."""
    body = json.dumps(
        {
            "status": "healthy",
            "uptime": time.monotonic(),
            "pid": os.getpid(),
            "version": "0.58.1",
            "port": port,
            "agentsDir": "/nowhere/.agents",
            "db": True,
        },
        separators=(",", ":"),
    ).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
