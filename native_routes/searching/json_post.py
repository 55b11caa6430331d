"""POST JSON to a service beside us, such as an embedder: keep-alive HTTP/1.1 of our own; TLS goes through httpx.

Measured with replies of 768 numbers: httpx reached 912 requests a second, asyncio with httptools several thousand.
"""

from __future__ import annotations

import asyncio
import re
import select
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

import httptools
import httpx

from native_routes.searching.fetch_address import fetch_address
from native_routes.searching.service_reply import CUT_SHORT, INVALID, told_by_fetch, unreachable, unusable

IDLE_S: Final = 4.0  # Ollama and Bun close idle connections after five seconds or more
IDLE_CONNECTIONS: Final = 32  # for each address
_PLAIN: Final = re.compile(r"(?!.*/\.)[A-Za-z0-9/?%._~:@!$&'()*+,;=-]*")
REPLY_LIMIT_BYTES: Final = 64 * 1024 * 1024
_KEEPING: Final = frozenset({307, 308})  # redirects after which the same is sent again
_REDIRECTS: Final = frozenset({301, 302, 303}) | _KEEPING


class PostError(Exception):
    """No whole reply came; the message says why and to whom, `told` what Bun's fetch says then."""

    def __init__(self, problem: str, told: str | None = None) -> None:
        super().__init__(problem)
        self.told = problem if told is None else told


def bearer(key: str) -> dict[str, str]:
    """The field that carries a key; one that was pasted with its line break is good.

    Source: Fetch, "normalize a header value".
    """
    return {"Authorization": f"Bearer {key}".rstrip("\t\n\r ")}


class _Connection(asyncio.Protocol):
    """One connection with one exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._fields: dict[bytes, bytes] = {}  # of the reply, by lower-case name
        self._has_head = False
        self._body: list[bytes] = []
        self._size = 0
        self._keeps = False
        self.idle_since = 0.0

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def waits(self) -> bool:
        """Whether the service is there and says nothing; also when the loop has not yet noticed that it left."""
        if self._transport is None or self._transport.is_closing():
            return False
        news = select.poll()
        news.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not news.poll(0)

    @property
    def location(self) -> str:
        """Where the last reply sends the caller; "" when it does not."""
        return self._fields.get(b"location", b"").decode("utf-8", "replace")

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. The connection is closed when the caller is cancelled."""
        assert self._transport is not None
        self._reply = asyncio.get_running_loop().create_future()
        self._body, self._size = [], 0
        self._transport.write(request)
        try:
            return await self._reply
        finally:
            self._reply = None
            if not self._keeps:
                self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        if self._reply is None or self._size > REPLY_LIMIT_BYTES:
            self._fail(PostError(f"the reply is over {REPLY_LIMIT_BYTES} bytes"))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(PostError(f"the reply is no HTTP: {error}"))

    def eof_received(self) -> bool:
        if self._has_head and not self._fields.keys() & {b"content-length", b"transfer-encoding"}:
            self._keeps = False
            self._complete()  # Source: RFC 9112 §6.3: such a body ends with the connection
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(PostError("the connection ended before the reply did", CUT_SHORT))
        self._transport = None

    def _fail(self, error: PostError) -> None:
        self._keeps = False
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
        self.close()

    # ---- parser callbacks

    def on_message_begin(self) -> None:
        self._fields, self._has_head = {}, False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._has_head = self._parser.get_status_code() >= 200

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._has_head:
            self._keeps = self._parser.should_keep_alive()
            self._complete()

    def _complete(self) -> None:
        """The reply is whole."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_result((self._parser.get_status_code(), b"".join(self._body)))


class JsonPoster:
    """Posts to any number of services. Certificates of the system; proxies of the environment are not used."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[_Connection]] = {}
        self._client: httpx.AsyncClient | None = None

    async def post(self, url: str, body: bytes, fields: Mapping[str, str], timeout_s: float) -> tuple[int, bytes]:
        """Status and body of the reply. Raises PostError, and TimeoutError when it is not whole in time.

        Redirects are followed as Fetch follows them: after 301, 302 and 303 with a GET.
        """
        try:
            url = fetch_address(url)
        except ValueError as error:
            raise PostError(f"{url!r} is no address: {error}", INVALID) from error
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PostError(f"{url!r} is no address: expected http://host or https://host", unusable(url))
        async with asyncio.timeout(timeout_s):
            if parts.scheme == "https":
                return await self._ask("POST", url, body, fields)
            request = _request(parts, _target(url, parts), body, fields)
            status, reply, location = await self._post_plain((parts.hostname, parts.port or 80), request)
            if not location or status not in _REDIRECTS:
                return status, reply
            return await self._follow(status, url, location, body, fields)

    async def _follow(
        self, status: int, url: str, location: str, body: bytes, fields: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """What is found there. Another server does not get the key."""
        try:
            there = urljoin(url, location)
            sent = fields if urlsplit(there)[:2] == urlsplit(url)[:2] else {}
        except ValueError as error:
            raise PostError(f"{url} leads to {location!r}, which is no address: {error}") from error
        if status in _KEEPING:
            return await self._ask("POST", there, body, sent)
        return await self._ask("GET", there, None, sent)

    async def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _post_plain(self, address: tuple[str, int], request: bytes) -> tuple[int, bytes, str]:
        """Status, body and location of the reply.

        Sent once: a service that closes a kept connection may have read it. Legacy sends it once too.
        """
        connection = self._take_idle(address) or await _connect(address)
        status, body = await connection.exchange(request)
        self._put_idle(address, connection)
        return status, body, connection.location

    def _take_idle(self, address: tuple[str, int]) -> _Connection | None:
        oldest = asyncio.get_running_loop().time() - IDLE_S
        idle = self._idle.get(address, [])
        while idle:
            connection = idle.pop()
            if connection.idle_since > oldest and connection.waits:
                return connection
            connection.close()
        return None

    def _put_idle(self, address: tuple[str, int], connection: _Connection) -> None:
        idle = self._idle.setdefault(address, [])
        if not connection.open or len(idle) >= IDLE_CONNECTIONS:
            connection.close()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        idle.append(connection)

    async def _ask(self, method: str, url: str, body: bytes | None, fields: Mapping[str, str]) -> tuple[int, bytes]:
        """Over TLS, or wherever a redirect leads."""
        if self._client is None:
            # Making a TLS context reads the certificates from disk.
            self._client = await asyncio.to_thread(
                httpx.AsyncClient, trust_env=False, timeout=None, follow_redirects=True
            )
        if body is not None:
            fields = {"Content-Type": "application/json", **fields}
        try:
            reply = await self._client.request(method, url, content=body, headers=dict(fields))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PostError(f"{type(error).__name__}: {error}", told_by_fetch(url, error)) from error
        return reply.status_code, reply.content


async def _connect(address: tuple[str, int]) -> _Connection:
    try:
        created: tuple[Any, _Connection] = await asyncio.get_running_loop().create_connection(_Connection, *address)
    except OSError as error:
        problem = f"nothing listens on {address[0]}:{address[1]}: {error.strerror or error}"
        raise PostError(problem, unreachable(address[0], error)) from error
    except UnicodeError as error:
        raise PostError(f"{address[0]} is no host name: {error}", INVALID) from error
    return created[1]


def _target(url: str, parts: SplitResult) -> str:
    """Path and query as Fetch sends them: percent-encoded, without dot segments."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if _PLAIN.fullmatch(target):
        return target
    try:
        return httpx.URL(url).raw_path.decode("ascii")
    except httpx.InvalidURL as error:
        raise PostError(f"{url!r} is no address: {error}") from error


def _request(parts: SplitResult, target: str, body: bytes, fields: Mapping[str, str]) -> bytes:
    """Values of fields may be Latin-1, as Fetch sends them; an address is ASCII."""
    begin = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}", "Content-Type: application/json"]
    end = [f"Content-Length: {len(body)}", "Accept: */*", "", ""]
    given = [f"{name}: {value}" for name, value in fields.items()]
    try:
        head = "\r\n".join([*begin, ""]).encode("ascii") + "\r\n".join([*given, *end]).encode("latin-1")
    except UnicodeEncodeError as error:
        raise PostError(f"{error.object!r} cannot be sent as the head of a request") from error
    if head.count(b"\n") != len(begin) + len(given) + len(end) - 1 or b"\0" in head:
        raise PostError("a line break or a null byte in the address or the API key")
    return head + body
