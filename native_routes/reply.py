"""What a handler answers with. The bytes are those the legacy daemon would send for the same value."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

from native_routes.javascript.json_bytes import stringify_utf8

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body and fields; without content-length and date, which the sender adds."""

    status: int
    body: bytes = b""
    headers: Fields = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply without an end of its own. `pieces` is closed when the client has gone, or the daemon stops."""

    status: int
    headers: Fields
    pieces: AsyncGenerator[bytes, None]


Answer = Reply | Stream


class Refusal(Exception):
    """The one deliberate way not to do what was asked: `{"error": error}` with a status from 400 on."""

    def __init__(self, status: int, error: str, headers: Fields = (), **details: Any) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = headers
        self.details = details  # further keys of the body, after "error"

    def reply(self) -> Reply:
        return json_reply({"error": self.error, **self.details}, self.status, self.headers)


def json_reply(value: Any, status: int = 200, headers: Fields = ()) -> Reply:
    """JSON as JavaScript writes it; no charset in the content type, as legacy."""
    body = stringify_utf8(value)
    return Reply(status, body, ((b"content-type", b"application/json"), *headers))


def text_reply(text: str, status: int, headers: Fields = ()) -> Reply:
    return Reply(status, text.encode(), ((b"content-type", b"text/plain; charset=UTF-8"), *headers))


UNCAUGHT: Final = text_reply("Internal Server Error", 500)  # what legacy answers where a handler of its own throws
