"""HTTP/1.1 messages read strictly from a raw socket: what a peer may rely on, nothing forgiven. Source: RFC 9112."""

from __future__ import annotations

import re
import select
import socket
import struct
import threading
from collections.abc import Iterable
from dataclasses import dataclass

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

READ_DEADLINE_S = 5.0
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Ended(Exception):
    """The peer closed the connection (FIN) where more bytes had to follow."""


class WasReset(Ended):
    """The peer aborted the connection (RST)."""


class Malformed(AssertionError):
    """The peer sent something that is no HTTP/1.1 message."""


@dataclass(frozen=True, slots=True)
class Head:
    """Start line without its CRLF, and the field lines in order: names as sent, values without outer white space."""

    start: bytes
    fields: Fields

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name: bytes) -> bytes | None:
        """The only value of `name`, None when absent; a repeated field is a failed assertion."""
        values = self.values(name)
        assert len(values) <= 1, f"{name!r} repeated: {values}"
        return values[0] if values else None

    def lower_fields(self) -> list[Field]:
        return [(name.lower(), value) for name, value in self.fields]


class Connection:
    """One side of a TCP connection: exact bytes out, strict messages in. Every wait has a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(READ_DEADLINE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.buffer = bytearray()
        self._sending: Sending | None = None

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_pieces(self, pieces: Iterable[bytes], gap_s: float = 0.005) -> None:
        """Each piece as a packet of its own; stops early when the peer speaks or goes away."""
        for piece in pieces:
            self.send(piece)
            if self.readable(gap_s):
                return

    def send_in_background(self, data: bytes) -> Sending:
        self._sending = Sending(self.socket, data)
        return self._sending

    def close(self) -> None:
        """Close now; what is still being sent in the background is given up."""
        if self._sending is not None:
            self._sending.stop()
        self.socket.close()

    def reset(self) -> None:
        """Abort with RST; nothing when it is closed already."""
        if self._sending is not None:
            self._sending.stop()
        if self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def finish_sending(self) -> None:
        """Send FIN, go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def readable(self, within_s: float) -> bool:
        """True as soon as bytes, an end or an error can be read."""
        return bool(self.buffer) or is_ready(self.socket, select.POLLIN, within_s)

    def ends_within(self, seconds: float) -> bool:
        """True when the peer closes or resets within the time; bytes before the end are a failed assertion."""
        if not self.readable(seconds):
            return False
        try:
            self._fill()
        except Ended:
            return True
        raise Malformed(f"bytes where the connection had to end: {bytes(self.buffer[:200])!r}")

    def silent_for(self, seconds: float) -> bool:
        return not self.readable(seconds)

    def drain_to_end(self) -> None:
        """Throw away what still comes, until the peer closes or resets."""
        self.buffer.clear()
        try:
            while True:
                self._fill()
                self.buffer.clear()
        except Ended:
            return

    def read_to_end(self) -> bytes:
        """Everything until FIN. Raises WasReset on an abort."""
        while True:
            try:
                self._fill()
            except WasReset:
                raise
            except Ended:
                return self._take(len(self.buffer))

    def read_exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._fill()
        return self._take(count)

    def read_line(self) -> bytes:
        """One line without its CRLF. A CR or LF on its own is malformed."""
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._fill()
        line = self._take(end + 2)[:-2]
        if b"\n" in line or b"\r" in line:
            raise Malformed(f"bare CR or LF in {line!r}")
        return line

    def read_head(self) -> Head:
        return Head(self.read_line(), self.read_fields())

    def read_fields(self) -> Fields:
        fields = []
        while line := self.read_line():
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.fullmatch(name) or b"\0" in value:
                raise Malformed(f"field line {line!r}")
            fields.append((name, value.strip(b" \t")))
        return tuple(fields)

    def read_chunk(self) -> bytes:
        """One chunk's data, b"" for the last chunk (its trailer section is still to be read)."""
        size, _, _extension = self.read_line().partition(b";")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
            raise Malformed(f"chunk size {size!r}")
        if int(size, 16) == 0:
            return b""
        data = self.read_exactly(int(size, 16))
        if self.read_exactly(2) != b"\r\n":
            raise Malformed("chunk data without CRLF behind it")
        return data

    def read_chunked(self) -> tuple[bytes, Fields]:
        """The whole body and its trailer fields."""
        body = bytearray()
        while chunk := self.read_chunk():
            body += chunk
        return bytes(body), self.read_fields()

    def _take(self, count: int) -> bytes:
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def _fill(self) -> None:
        try:
            data = self.socket.recv(262_144)
        except ConnectionError as error:
            raise WasReset(f"{error}; unread: {bytes(self.buffer[:200])!r}") from error
        if not data:
            raise Ended(f"unread: {bytes(self.buffer[:200])!r}")
        self.buffer += data


class Sending:
    """`data` being sent by a thread, to watch how far it gets while the test does something else."""

    def __init__(self, sock: socket.socket, data: bytes) -> None:
        self._socket = sock
        self._data = memoryview(data)
        self.sent = 0
        self.error: OSError | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while self.sent < len(self._data) and not self._stopped:
                if is_ready(self._socket, select.POLLOUT, 0.02):
                    self.sent += self._socket.send(self._data[self.sent : self.sent + 65_536])
        except OSError as error:
            self.error = error

    def stop(self) -> None:
        """Send no more: a socket that a thread is still sending on is not closed by `close`."""
        self._stopped = True
        self._thread.join(5)

    def stalls(self, still_for_s: float = 0.4) -> int:
        """Bytes sent when nothing more went out for `still_for_s`; len(data) when all did."""
        before = -1
        while before != self.sent and self._thread.is_alive():
            before = self.sent
            self._thread.join(still_for_s)
        return self.sent

    def finish(self, within_s: float = 20.0) -> None:
        """Wait for the end of the sending; a failed send is left in `error`."""
        self._thread.join(within_s)
        assert not self._thread.is_alive(), f"still sending after {within_s} s: {self.sent} of {len(self._data)} bytes"


def is_ready(sock: socket.socket, event: int, within_s: float) -> bool:
    """Whether `event`, an end or an error comes in time. By poll(2): select(2) cannot take a thousand sockets."""
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(within_s * 1000))


def content_length(head: Head) -> int | None:
    """The declared size, None when absent. Raises Malformed unless it is one plain decimal number."""
    values = head.values(b"content-length")
    if not values:
        return None
    if len(values) > 1 or not values[0].isdigit():
        raise Malformed(f"content-length {values}")
    return int(values[0])


def is_chunked(head: Head) -> bool:
    """Whether the body is chunked. Raises Malformed for any other coding, or when a size is declared too."""
    codings = head.values(b"transfer-encoding")
    if not codings:
        return False
    if [coding.lower() for coding in codings] != [b"chunked"] or head.values(b"content-length"):
        raise Malformed(f"transfer-encoding {codings}, content-length {head.values(b'content-length')}")
    return True
