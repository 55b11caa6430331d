from __future__ import annotations

import importlib

import pytest

from native_routes import GROUPS
from native_routes.declaration import NativeRequest
from native_routes.lazily import lazily
from native_routes.reply import Reply, text_reply


async def greet(request: NativeRequest) -> Reply:
    return text_reply(f"hello {request.path}", 200)


def request(path: str) -> NativeRequest:
    async def no_body() -> bytes:
        return b""

    return NativeRequest(None, path, {}, "", None, no_body, None)  # type: ignore[arg-type]  # greet reads the path only


async def test_the_named_handler_answers_every_time() -> None:
    handler = lazily(__name__, "greet")

    assert await handler(request("/a")) == text_reply("hello /a", 200)
    assert await handler(request("/b")) == text_reply("hello /b", 200)


async def test_a_module_that_is_not_there_is_an_error_of_the_request() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"native_routes\.nothing"):
        await lazily("native_routes.nothing", "greet")(request("/a"))


@pytest.mark.parametrize("name", [group.name for group in GROUPS if any(route.handler for route in group.routes)])
def test_declared_handlers_are_there(name: str) -> None:
    for route in next(group for group in GROUPS if group.name == name).routes:
        assert route.handler is not None
        module, _, handler = getattr(route.handler, "__qualname__", "").rpartition(".")
        assert not module or callable(getattr(importlib.import_module(module), handler))
