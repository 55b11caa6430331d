"""Legacy's answer to a request of ours that no client waits for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from proxy.exchange import Field, Framing
from proxy.exchange_copy import Answer, ExchangeCopy
from proxy.upstream import Pool, UpstreamError


async def ask_again(pool: Pool, head: bytes, *, head_only: bool, limit_bytes: int) -> Answer | None:
    """The reply to a request without a body, whose head is `head`; None when none comes whole.

    The caller bounds the time.
    """
    try:
        connection = pool.take_idle() or await pool.connect()
    except UpstreamError:
        return None
    copy = ExchangeCopy(asyncio.get_running_loop(), limit_bytes)
    connection.begin(_Sink(copy, head_only), head)
    connection.request_sent()
    try:
        return await copy.reply
    finally:
        if not copy.reply.done() or copy.reply.cancelled():
            connection.close()


@dataclass(slots=True)
class _Sink:
    copy: ExchangeCopy
    head_only: bool
    wants_upgrade: bool = False

    def reply_head(self, status: int, reason: bytes, fields: list[Field], framing: Framing) -> None:
        self.copy.head(status, fields)

    def reply_body(self, data: bytes) -> None:
        self.copy.answered(data)

    def reply_end(self, trailers: list[Field]) -> None:
        self.copy.end()

    def lost(self, error: UpstreamError) -> None:
        self.copy.give_up()

    def interim(self, status: int, reason: bytes, fields: list[Field]) -> None: ...
    def reply_flush(self) -> None: ...
    def switched(self, reason: bytes, fields: list[Field], rest: bytes) -> None: ...
    def tunnelled(self, data: bytes) -> None: ...
    def pause_request(self) -> None: ...
    def resume_request(self) -> None: ...
