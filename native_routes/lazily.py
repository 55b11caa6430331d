"""Handlers whose modules are imported when they are asked for first, so that the daemon starts without them."""

from __future__ import annotations

import asyncio
import importlib

from native_routes.declaration import Handler, NativeRequest
from native_routes.reply import Answer


class Handlers:
    """The handlers of one module, by name: `h = Handlers("native_routes.recall.handlers")`, then `h.recall`."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Handler:
        return lazily(self._module, name)


def lazily(module: str, name: str) -> Handler:
    """The handler `name` of `module`, imported in a thread at the first request: numpy takes 0.1 s and 20 MB."""
    found: Handler | None = None

    async def handler(request: NativeRequest) -> Answer:
        nonlocal found
        if found is None:
            found = getattr(await asyncio.to_thread(importlib.import_module, module), name)
        return await found(request)

    handler.__qualname__ = f"{module}.{name}"
    return handler
