"""The body of a request as the daemon's router reads JSON from it."""

from __future__ import annotations

from typing import Any

from native_routes.declaration import NativeRequest
from native_routes.javascript.json_problem import json_problem
from native_routes.javascript.json_text import parse_json

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def body_text(body: bytes) -> str:
    """As fetch decodes text: a byte order mark is dropped, what is not UTF-8 becomes U+FFFD."""
    return body.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "replace")


async def read_told_json(request: NativeRequest) -> Any:
    """As `read_json`; the ValueError says what the daemon's engine says of such a text."""
    try:
        return await read_json(request)
    except ValueError as error:
        problem = json_problem(body_text(await request.body()))
        raise ValueError(problem or f"JSON Parse error: {error}") from error  # too deep for us


async def read_json(request: NativeRequest) -> Any:
    """The parsed body, whatever its content type; numbers are doubles. Raises ValueError when it is not JSON."""
    return parse_json(body_text(await request.body()))
