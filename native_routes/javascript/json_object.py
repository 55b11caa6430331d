"""Bodies that must be a JSON object."""

from __future__ import annotations

from typing import Any, Final

from native_routes.declaration import NativeRequest
from native_routes.javascript.primitives import trim
from native_routes.reply import Refusal
from native_routes.request_body import body_text, read_json

NOT_AN_OBJECT: Final = "Invalid JSON body"


async def read_object(request: NativeRequest) -> dict[str, Any]:
    """The body's object. Refuses with 400 what is no JSON, and any JSON that is no object."""
    try:
        value = await read_json(request)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, NOT_AN_OBJECT)
    return value


async def read_optional_object(request: NativeRequest) -> dict[str, Any]:
    """The same; a body of nothing but white space is {}."""
    if not trim(body_text(await request.body())):
        return {}
    return await read_object(request)
