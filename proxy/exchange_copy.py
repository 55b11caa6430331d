"""A copy of what passed between a client and legacy, kept while it streams by, up to a bound; for who compares it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, fields in their order, and the whole body."""

    status: int
    fields: tuple[Field, ...]
    body: bytes


class ExchangeCopy:
    """Takes one request body and the reply. `reply` resolves to None when there is nothing to compare: the reply broke
    off or never came, or a body is over the limit."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_bytes: int) -> None:
        self.reply: asyncio.Future[Answer | None] = loop.create_future()
        self.is_too_large = False
        self._limit_bytes = limit_bytes
        self._status = 0
        self._fields: tuple[Field, ...] = ()
        self._asked: list[bytes] = []
        self._answered: list[bytes] = []
        self._size = 0

    @property
    def request_body(self) -> bytes:
        return b"".join(self._asked)

    def asked(self, data: bytes) -> None:
        self._keep(self._asked, data)

    def head(self, status: int, fields: list[Field]) -> None:
        self._status, self._fields = status, tuple(fields)

    def answered(self, data: bytes) -> None:
        self._keep(self._answered, data)

    def end(self) -> None:
        answer = Answer(self._status, self._fields, b"".join(self._answered))
        self._settle(None if self.is_too_large else answer)

    def give_up(self) -> None:
        """No more will come. Nothing when the reply is whole already."""
        self._settle(None)

    def _keep(self, pieces: list[bytes], data: bytes) -> None:
        self._size += len(data)
        self.is_too_large = self._size > self._limit_bytes
        if self.is_too_large:
            self._asked.clear()
            self._answered.clear()
        else:
            pieces.append(data)

    def _settle(self, answer: Answer | None) -> None:
        if not self.reply.done():
            self.reply.set_result(answer)
