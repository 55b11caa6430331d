"""Requests of our own to the legacy daemon: a GET, and its reply taken whole."""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.exchange import Field, Framing
from proxy.upstream import UpstreamConnection, UpstreamError

REPLY_LIMIT_BYTES: Final = 1_048_576


def own_request(target: bytes, address: tuple[str, int], token: str | None, accept: str) -> bytes:
    """The head of a GET of ours to legacy; `token` None where it wants none."""
    host, port = address
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    credentials = f"authorization: Bearer {token}\r\n" if token else ""
    fields = f"host: {authority}\r\naccept: {accept}\r\n{credentials}\r\n"
    return b"GET %b HTTP/1.1\r\n%b" % (target, fields.encode("ascii"))


class WholeReply:
    """Takes one reply whole. A ReplySink."""

    head_only = False
    wants_upgrade = False

    def __init__(self) -> None:
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._body = bytearray()

    async def read(self, connection: UpstreamConnection, head: bytes) -> tuple[int, bytes]:
        """Status and body of the reply to `head`. Raises UpstreamError."""
        try:
            connection.begin(self, head)
            connection.request_sent()
            await self._done
        except BaseException:
            connection.close()
            raise
        return self._status, bytes(self._body)

    def reply_head(self, status: int, reason: bytes, fields: list[Field], framing: Framing) -> None:
        self._status = status

    def reply_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > REPLY_LIMIT_BYTES:
            self.lost(UpstreamError(f"a reply over {REPLY_LIMIT_BYTES} bytes", replied=True))

    def reply_end(self, trailers: list[Field]) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def lost(self, error: UpstreamError) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    def interim(self, status: int, reason: bytes, fields: list[Field]) -> None:
        """Not the reply yet."""

    def reply_flush(self) -> None:
        """All is kept until the end."""

    def switched(self, reason: bytes, fields: list[Field], rest: bytes) -> None:
        self.lost(UpstreamError("legacy switched protocols"))

    def tunnelled(self, data: bytes) -> None:
        """Never: nothing was upgraded."""

    def pause_request(self) -> None:
        """The request is one small piece."""

    def resume_request(self) -> None:
        """See pause_request."""
