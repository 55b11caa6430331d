"""One request to a service beside us, asked rarely and told about in Bun's words: clients show those to people."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from native_routes.javascript.json_problem import json_problem
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import Undefined, undefined
from native_routes.javascript.values import utf16_length

REPLY_LIMIT_BYTES: Final = 16 * 1024 * 1024
UNREACHABLE: Final = "Unable to connect. Is the computer able to access the url?"
INVALID: Final = "fetch() URL is invalid"
_MORE: Final = ". For more information, pass `verbose: true` in the second argument to fetch()"
CUT_SHORT: Final = f"The socket connection was closed unexpectedly{_MORE}"
TIMED_OUT: Final = "The operation timed out."
TOO_MANY_REDIRECTS: Final = f"The response redirected too many times{_MORE}"
# What Bun takes for an address: a name without a scheme, and any number of slashes after one.
_BARE_HOST: Final = re.compile(r"^(?=[A-Za-z][A-Za-z0-9+.-]*:[0-9]+(?:[/?#]|$))")
_SLASHES: Final = re.compile(r"(?<=:)/*")


class ServiceError(Exception):
    """No usable reply; the message is what legacy shows for it."""


@dataclass(frozen=True, slots=True)
class ServiceReply:
    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Raises ServiceError."""
        try:
            return parse_json(self.body.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise ServiceError(not_json(self.body) or str(error)) from error


def not_json(body: bytes) -> str:
    """What Bun says of a reply that it cannot parse; "" for one that it can."""
    text = body.decode("utf-8", "replace")
    return (json_problem(text) or "") if text else "Unexpected end of JSON input"


async def get(url: str, within_s: float) -> ServiceReply:
    """Raises ServiceError. Redirects are followed; the system's certificates count; no proxy of the environment."""
    return await _ask("GET", url, None, {}, within_s)


async def post(url: str, body: bytes, fields: Mapping[str, str], within_s: float) -> ServiceReply:
    """POST of JSON; otherwise as `get`."""
    return await _ask("POST", url, body, {"Content-Type": "application/json", **fields}, within_s)


def length(value: Any) -> int | Undefined:
    """`value.length` of what is no list."""
    return utf16_length(value) if isinstance(value, str) else undefined


async def _ask(method: str, url: str, body: bytes | None, fields: Mapping[str, str], within_s: float) -> ServiceReply:
    url = _whole_url(url)
    try:
        async with asyncio.timeout(within_s):
            # Making a client reads the certificates from disk.
            client = await asyncio.to_thread(_client)
            async with client, client.stream(method, url, content=body, headers=dict(fields)) as reply:
                return ServiceReply(reply.status_code, await _whole(reply))
    except TimeoutError as error:
        raise ServiceError(TIMED_OUT) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise ServiceError(told_by_fetch(url, error)) from error


def _whole_url(url: str) -> str:
    """Raises ServiceError for what is no address."""
    url = _BARE_HOST.sub("http://", url, count=1)
    if url[:5].lower() in {"http:", "https"} and ":" in url:
        url = _SLASHES.sub("//", url, count=1)
    try:
        parts = urlsplit(url)
        is_address = " " not in parts.netloc and parts.port != -1  # `port` raises for one that there is not
    except ValueError as error:
        raise ServiceError(INVALID) from error
    if not is_address:
        raise ServiceError(INVALID)
    return url


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=None, follow_redirects=True)


async def _whole(reply: httpx.Response) -> bytes:
    body = bytearray()
    async for part in reply.aiter_bytes():
        body += part
        if len(body) > REPLY_LIMIT_BYTES:
            raise ServiceError(f"the reply is over {REPLY_LIMIT_BYTES} bytes")
    return bytes(body)


def told_by_fetch(url: str, error: Exception) -> str:
    """Why no reply came, as Bun's fetch says it."""
    if isinstance(error, httpx.UnsupportedProtocol):
        return "protocol must be http:, https: or s3:" if "://" in url else INVALID
    if isinstance(error, httpx.TooManyRedirects):
        return TOO_MANY_REDIRECTS
    if isinstance(error, httpx.DecodingError):
        return f'ZlibError fetching "{url}"{_MORE}'
    if isinstance(error, httpx.ConnectError):
        return unreachable(httpx.URL(url).host, error)
    return CUT_SHORT if isinstance(error, httpx.HTTPError) else INVALID


def unreachable(host: str, error: BaseException | None) -> str:
    """Nobody there, or no such name."""
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return UNREACHABLE if error is None else f"getaddrinfo ENOTFOUND {host}"
