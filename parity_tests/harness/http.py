"""A raw HTTP/1.1 client on blocking sockets: sends what it is given, keeps what it gets, normalises nothing."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

Fields = tuple[tuple[str, str], ...]
TIMEOUT_S: Final = 40.0  # legacy itself gives up on an embedder after 30 s


class NoAnswer(Exception):
    """The other side closed or kept silent; the message says what had been received."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    version: str
    fields: Fields  # in order, names as sent
    body: bytes
    events: tuple[str, ...] = ()  # server-sent events, each the text of its lines
    cut: bool = False  # we closed it, after the wanted number of events
    interim: tuple[str, ...] = ()  # status lines of interim answers, which nobody asked for
    rest: bytes = b""  # what came after the body's end


@dataclass(slots=True)
class Connection:
    """One connection, one request."""

    sock: socket.socket
    buffer: bytes = b""
    head: tuple[str, int, str, Fields] | None = None
    interim: tuple[str, ...] = ()
    _stream: Iterator[str] | None = None

    def send(self, method: str, target: str, fields: Sequence[tuple[str, str]], body: bytes | None) -> None:
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
        if body is not None and not any(name.lower() == "content-length" for name, _ in fields):
            head += f"Content-Length: {len(body)}\r\n"
        self.sock.sendall(f"{head}\r\n".encode("utf-8", "surrogateescape") + (body or b""))

    def read_head(self) -> tuple[str, int, str, Fields]:
        """Version, status, reason, fields; interim answers are passed over."""
        while self.head is None:
            text = self._until(b"\r\n\r\n").decode("latin-1")
            line, *rest = text.split("\r\n")
            version, _, status_reason = line.partition(" ")
            status, _, reason = status_reason.partition(" ")
            if not status.isdigit():
                raise NoAnswer(f"not HTTP: {line[:100]!r}")
            pairs = (entry.partition(":") for entry in rest)
            if int(status) >= 200 or status == "101":
                self.head = version, int(status), reason, tuple((name, value.strip(" \t")) for name, _, value in pairs)
            else:
                self.interim += (line,)
        return self.head

    def read_answer(self, method: str, events: int | None = None) -> Answer:
        """The whole answer; with `events`, up to that many server-sent events."""
        version, status, reason, fields = self.read_head()
        if events is not None and status == 200:
            heard = tuple(self.events(events))
            return Answer(status, reason, version, fields, b"", heard, len(heard) == events, self.interim)
        body = b"".join(self._body(method, status, fields))
        return Answer(status, reason, version, fields, body, interim=self.interim, rest=self._rest())

    def _rest(self) -> bytes:
        """What stands after the end of the answer; b"" for an answer that ends where it says."""
        self.sock.setblocking(False)
        with suppress(OSError):
            self.buffer += self.sock.recv(65_536)
        return self.buffer

    def events(self, count: int) -> Iterator[str]:
        """Up to `count` further server-sent events, comments left out."""
        if self._stream is None:
            self._stream = self._all_events()
        return itertools.islice(self._stream, count)

    def is_silent_for(self, seconds: float) -> bool:
        """Nothing but comments arrives within that time."""
        self.sock.settimeout(seconds)
        try:
            return next(self.events(1), None) is None
        except NoAnswer:
            return True

    def _all_events(self) -> Iterator[str]:
        text = b""
        for piece in self._body("GET", 200, self.read_head()[3]):
            text += piece
            while b"\n\n" in text:
                event, _, text = text.partition(b"\n\n")
                if not event.startswith(b":"):
                    yield event.decode()

    def _body(self, method: str, status: int, fields: Fields) -> Iterator[bytes]:
        low = {name.lower(): value for name, value in fields}
        if method == "HEAD" or status in {204, 304} or status < 200:
            return
        if "chunked" in low.get("transfer-encoding", "").lower():
            yield from self._chunked()
        elif "content-length" in low:
            yield self._exactly(int(low["content-length"]))
        else:
            while piece := self._more():
                self.buffer = b""
                yield piece

    def _chunked(self) -> Iterator[bytes]:
        while True:
            size = int(self._until(b"\r\n").partition(b";")[0], 16)
            if size == 0:
                while self._until(b"\r\n"):
                    pass
                return
            yield self._exactly(size)
            self._until(b"\r\n")

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not self._more():
                raise NoAnswer(f"closed after {self.buffer[:200]!r}")
        part, _, self.buffer = self.buffer.partition(mark)
        return part

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self._more():
                raise NoAnswer(f"the body ended after {len(self.buffer)} of {size} bytes")
        part, self.buffer = self.buffer[:size], self.buffer[size:]
        return part

    def _more(self) -> bytes:
        try:
            piece = self.sock.recv(65_536)
        except OSError as error:
            raise NoAnswer(f"{type(error).__name__} after {self.buffer[:200]!r}") from error
        self.buffer += piece
        return self.buffer if piece else b""


@contextmanager
def connect(address: tuple[str, int], timeout_s: float = TIMEOUT_S) -> Iterator[Connection]:
    with socket.create_connection(address, timeout_s) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Connection(sock)
