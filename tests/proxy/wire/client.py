"""The client's side: a raw socket to the proxy, and replies as a strict client understands them."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Literal

from tests.proxy.wire.http1 import Connection, Fields, Head, Malformed, content_length, is_chunked

Framing = Literal["none", "length", "chunked", "close"]
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9]{2})(?: (.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply(Head):
    """One final reply with its body, how the body was framed, and the interim (1xx) heads before it."""

    status: int = 0
    reason: bytes = b""
    body: bytes = b""
    framing: Framing = "none"
    trailers: Fields = ()
    interim: tuple[ReplyHead, ...] = ()

    @property
    def closes(self) -> bool:
        return (self.value(b"connection") or b"").lower() == b"close"


@dataclass(frozen=True, slots=True)
class ReplyHead(Head):
    version: bytes = b""
    status: int = 0
    reason: bytes = b""


class Client(Connection):
    """A connection to the proxy."""

    def __init__(self, port: int, receive_buffer_bytes: int | None = None) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        sock.settimeout(5.0)
        sock.connect(("127.0.0.1", port))
        super().__init__(sock)

    def read_reply_head(self) -> ReplyHead:
        """The next head, interim or final."""
        head = self.read_head()
        match = STATUS_LINE.fullmatch(head.start)
        if not match:
            raise Malformed(f"status line {head.start!r}")
        return ReplyHead(head.start, head.fields, match[1], int(match[2]), match[3] or b"")

    def read_final_head(self) -> tuple[ReplyHead, tuple[ReplyHead, ...]]:
        """The final head and the interim ones before it; 101 is final."""
        interim = []
        while (head := self.read_reply_head()).status < 200 and head.status != 101:
            interim.append(head)
        return head, tuple(interim)

    def read_reply(self, to: bytes = b"GET") -> Reply:
        """The next reply in full. Raises Ended when it is cut short, WasReset when it is aborted."""
        head, interim = self.read_final_head()
        framing = framing_of(head, to)
        body, trailers = self.read_body(head, framing)
        return Reply(head.start, head.fields, head.status, head.reason, body, framing, trailers, interim)

    def read_body(self, head: Head, framing: Framing) -> tuple[bytes, Fields]:
        if framing == "none":
            return b"", ()
        if framing == "chunked":
            return self.read_chunked()
        if framing == "length":
            return self.read_exactly(content_length(head) or 0), ()
        return self.read_to_end(), ()


def framing_of(head: ReplyHead, to: bytes) -> Framing:
    """How the body of a reply to method `to` ends. Source: RFC 9112 §6.3."""
    chunked, size = is_chunked(head), content_length(head)
    if to == b"HEAD" or head.status in {101, 204, 304}:
        return "none"
    if chunked:
        return "chunked"
    return "close" if size is None else "length"
