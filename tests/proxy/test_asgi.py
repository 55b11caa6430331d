"""An ASGI application that knows nothing of exchanges, served by our wire over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from proxy.settings import Settings
from proxy.wire import Wire


async def echo(request: Request) -> Response:
    return JSONResponse({"method": request.method, "query": request.url.query, "body": (await request.body()).decode()})


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"part %d\n" % number

    return StreamingResponse(parts(), media_type="text/plain")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    app = Starlette(routes=[Route("/echo", echo, methods=["GET", "POST"]), Route("/stream", stream)])
    wire = Wire.for_settings(Settings(home_path=tmp_path))
    config = uvicorn.Config(app, http=wire, ws="none", lifespan="off", log_config=None, date_header=False)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server._serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving


async def test_request_body_and_query_reach_the_application(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(f"{url}/echo?a=b", content=b"x" * 100_000)
    assert reply.json() == {"method": "POST", "query": "a=b", "body": "x" * 100_000}


async def test_streamed_reply_is_chunked_and_whole(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(f"{url}/stream")
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.text == "part 0\npart 1\npart 2\n"


async def test_head_has_no_body_and_the_connection_goes_on(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.head(f"{url}/echo")).content == b""
        assert (await client.get(f"{url}/echo")).status_code == 200
