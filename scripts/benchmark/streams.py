"""Server-sent events: how much later an event arrives through a proxy, and what a silent client costs.

The log stream is used, as every legacy has it; saving a config file makes one log entry.
"""

from __future__ import annotations

import contextlib
import resource
import selectors
import time
from collections.abc import Iterator, Mapping, Sequence

from scripts.benchmark.rows import MeasurementError
from scripts.benchmark.running import connect

STREAM = b"GET /api/logs/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
CONNECTED = b'"connected"'
EVENT = b"Config file updated"
SAVED = b'"success":true'
DEADLINE_S = 10.0
PAUSE_S = 0.002


class Watched:
    """A connection and the text that is awaited on it."""

    def __init__(self, port: int, request: bytes, awaited: bytes) -> None:
        self.socket = connect(port)
        self.socket.sendall(request)
        self.socket.setblocking(False)
        self._awaited = awaited
        self._tail = b""

    def arrived(self) -> bool:
        """Take what has come in; whether the awaited text was in it. Raises MeasurementError at its end."""
        try:
            data = self.socket.recv(65_536)
        except OSError as error:
            raise MeasurementError(f"a stream was cut: {error}") from error
        if not data:
            raise MeasurementError("a stream ended")
        self._tail += data
        position = self._tail.find(self._awaited)
        if position < 0:
            self._tail = self._tail[-len(self._awaited) :]
            return False
        self._tail = self._tail[position + len(self._awaited) :]
        return True

    def await_next(self, text: bytes) -> None:
        self._awaited = text
        self._tail = b""


def wait_for(watched: Mapping[str, Watched], deadline_s: float = DEADLINE_S) -> dict[str, float]:
    """When each connection's text arrived, by time.perf_counter. Connections that were ready together share it."""
    seen: dict[str, float] = {}
    ends_s = time.perf_counter() + deadline_s
    with selectors.DefaultSelector() as selector:
        for name, connection in watched.items():
            selector.register(connection.socket, selectors.EVENT_READ, name)
        while len(seen) < len(watched):
            ready = selector.select(max(0.0, ends_s - time.perf_counter()))
            now_s = time.perf_counter()
            if not ready:
                raise MeasurementError(f"{len(watched) - len(seen)} of {len(watched)} streams stayed silent")
            for key, _ in ready:
                if watched[key.data].arrived():
                    seen[key.data] = now_s
                    selector.unregister(key.fileobj)
    return seen


def event_delays_ms(ports: Mapping[str, int], events: int) -> dict[str, list[float]]:
    """Side -> from saving a file at legacy to its event, for each of `events`; the same events on all sides."""
    with contextlib.ExitStack() as open_sockets:
        streams = {side: _open(open_sockets, port, STREAM, CONNECTED) for side, port in ports.items()}
        wait_for(streams)
        for stream in streams.values():
            stream.await_next(EVENT)
        save = _save_request()
        trigger = _open(open_sockets, ports["direct"], save, SAVED)
        everything = {**streams, "trigger": trigger}
        wait_for(everything)  # the first event is not counted
        delays: dict[str, list[float]] = {side: [] for side in ports}
        for _ in range(events):
            time.sleep(PAUSE_S)  # events come apart, not in a burst
            sent_s = time.perf_counter()
            trigger.socket.sendall(save)
            seen = wait_for(everything)
            for side in ports:
                delays[side].append((seen[side] - sent_s) * 1e3)
    return delays


def _open(open_sockets: contextlib.ExitStack, port: int, request: bytes, awaited: bytes) -> Watched:
    watched = Watched(port, request, awaited)
    open_sockets.enter_context(contextlib.closing(watched.socket))
    return watched


def _save_request() -> bytes:
    body = b'{"file": "BENCH.md", "content": "x"}'
    head = b"POST /api/config HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@contextlib.contextmanager
def idle_clients(port: int, count: int) -> Iterator[None]:
    """While entered, `count` clients have been greeted by the stream and wait. Raises MeasurementError."""
    allow_open_files(count + 256)
    with contextlib.ExitStack() as open_sockets:
        wait_for({str(n): _open(open_sockets, port, STREAM, CONNECTED) for n in range(count)})
        yield


def allow_open_files(count: int) -> None:
    """Raise our own limit of open files, which on many systems is 1,024; only as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of 100 do not exceed."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
