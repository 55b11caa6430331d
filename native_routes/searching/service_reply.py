"""One request to a service beside us, asked rarely and told about in Bun's words: clients show those to people."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from native_routes.javascript.json_problem import json_problem
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import undefined
from native_routes.javascript.values import utf16_length
from native_routes.request_body import body_text
from native_routes.searching.fetch_address import fetch_address

REPLY_LIMIT_BYTES: Final = 16 * 1024 * 1024
UNREACHABLE: Final = "Unable to connect. Is the computer able to access the url?"
INVALID: Final = "fetch() URL is invalid"
_MORE: Final = ". For more information, pass `verbose: true` in the second argument to fetch()"
CUT_SHORT: Final = f"The socket connection was closed unexpectedly{_MORE}"
TIMED_OUT: Final = "The operation timed out."
TOO_MANY_REDIRECTS: Final = f"The response redirected too many times{_MORE}"


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
            return parse_json(body_text(self.body))
        except (ValueError, RecursionError) as error:
            raise ServiceError(not_json(self.body) or str(error)) from error


def not_json(body: bytes) -> str:
    """What Bun says of a reply that it cannot parse; "" for one that it can."""
    text = body_text(body)
    return (json_problem(text) or "") if text else "Unexpected end of JSON input"


async def get(url: str, within_s: float) -> ServiceReply:
    """Raises ServiceError. Redirects are followed; the system's certificates count; no proxy of the environment."""
    return await _ask("GET", url, None, {}, within_s)


async def post(url: str, body: bytes, fields: Mapping[str, str], within_s: float) -> ServiceReply:
    """POST of JSON; otherwise as `get`."""
    return await _ask("POST", url, body, {"Content-Type": "application/json", **fields}, within_s)


def length(value: Any) -> Any:
    """`value.length`."""
    if isinstance(value, dict):
        return value.get("length", undefined)
    return utf16_length(value) if isinstance(value, str) else len(value) if isinstance(value, list) else undefined


async def _ask(method: str, url: str, body: bytes | None, fields: Mapping[str, str], within_s: float) -> ServiceReply:
    try:
        url = fetch_address(url)
    except ValueError as error:
        raise ServiceError(INVALID) from error
    try:
        async with asyncio.timeout(within_s):
            # Making a client reads the certificates from disk.
            client = await asyncio.to_thread(_client)
            sent = {name.encode(): value.encode("latin-1") for name, value in fields.items()}
            async with client, client.stream(method, url, content=body, headers=sent) as reply:
                return ServiceReply(reply.status_code, await _whole(reply))
    except TimeoutError as error:
        raise ServiceError(TIMED_OUT) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise ServiceError(told_by_fetch(url, error)) from error


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=None, follow_redirects=True)


async def _whole(reply: httpx.Response) -> bytes:
    body = bytearray()
    async for part in reply.aiter_bytes():
        body += part
        if len(body) > REPLY_LIMIT_BYTES:
            raise ServiceError(f"the reply is over {REPLY_LIMIT_BYTES} bytes")
    return bytes(body)


def unusable(url: str) -> str:
    """Of an address with another scheme, or without any."""
    return "protocol must be http:, https: or s3:" if "://" in url else INVALID


def told_by_fetch(url: str, error: Exception) -> str:
    """Why no reply came, as Bun's fetch says it."""
    if isinstance(error, httpx.UnsupportedProtocol):
        return unusable(url)
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
