"""Where a reply ends, and where it sends the caller: as Bun's fetch has it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from native_routes.searching.json_post import JsonPoster, PostError, bearer

WITHIN_S = 10.0
WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{""}'


@pytest.fixture
async def poster() -> AsyncIterator[JsonPoster]:
    poster = JsonPoster()
    yield poster
    await poster.close()


@asynccontextmanager
async def server(*replies: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """One that sends these, one to each connection, and closes it; its address, and what it was asked."""
    asked: list[str] = []
    left = iter(replies)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search("(?i)^content-length: ([0-9]+)", head, re.M)
        body = await reader.readexactly(int(length[1])) if length else b""
        key = re.search("(?i)^authorization: (.*)\r", head, re.M)
        asked.append(" ".join([head.partition(" HTTP")[0], body.decode(), key[1] if key else ""]).strip())
        writer.write(next(left))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}", asked


def away(status: int, location: str) -> bytes:
    return f"HTTP/1.1 {status} Away\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("head", ["HTTP/1.0 200 OK", "HTTP/1.1 200 OK\r\nConnection: close"])
async def test_a_reply_without_a_length_ends_with_its_connection(poster: JsonPoster, head: str) -> None:
    async with server(head.encode() + b"\r\n\r\n{}", WHOLE) as (url, _):
        assert await poster.post(url, b"{}", {}, WITHIN_S) == (200, b"{}")
        assert await poster.post(url, b"{}", {}, WITHIN_S) == (200, b'{""}')


@pytest.mark.parametrize("end", ["Content-Length: 99\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}", "X: "])
async def test_a_reply_that_ends_before_it_is_whole_is_none(poster: JsonPoster, end: str) -> None:
    async with server(b"HTTP/1.1 200 OK\r\n" + end.encode()) as (url, _):
        with pytest.raises(PostError, match="ended before"):
            await poster.post(url, b"{}", {}, WITHIN_S)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_with_the_key_and_the_body_that_fetch_sends(
    poster: JsonPoster, status: int
) -> None:
    async with server(away(status, "/there"), WHOLE) as (url, asked):
        assert await poster.post(f"{url}/here", b"{}", bearer("k"), WITHIN_S) == (200, b'{""}')

    there = "POST /there {} Bearer k" if status in {307, 308} else "GET /there  Bearer k"
    assert asked == ["POST /here {} Bearer k", there]


async def test_another_server_does_not_get_the_key(poster: JsonPoster) -> None:
    async with server(WHOLE) as (there, seen), server(away(308, f"{there}/x")) as (url, _):
        assert await poster.post(url, b"{}", bearer("k"), WITHIN_S) == (200, b'{""}')

    assert seen == ["POST /x {}"]


async def test_a_redirect_to_nowhere_is_the_reply(poster: JsonPoster) -> None:
    async with server(b"HTTP/1.1 302 Away\r\nContent-Length: 0\r\n\r\n", away(304, "/x")) as (url, asked):
        assert (await poster.post(url, b"{}", {}, WITHIN_S))[0] == 302
        assert (await poster.post(url, b"{}", {}, WITHIN_S))[0] == 304

    assert len(asked) == 2


@pytest.mark.parametrize("location", ["http://[", "ftp://host/", "http://host:99999/"])
async def test_a_redirect_to_what_is_no_address_is_a_failure(poster: JsonPoster, location: str) -> None:
    async with server(away(307, location)) as (url, _):
        with pytest.raises(PostError):
            await poster.post(url, b"{}", {}, WITHIN_S)


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "."])
async def test_a_name_that_no_host_can_have_is_a_failure(poster: JsonPoster, host: str) -> None:
    with pytest.raises(PostError, match="no host name"):
        await poster.post(f"http://{host}/", b"{}", {}, WITHIN_S)
