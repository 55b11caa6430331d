"""Asking a provider whether it is there: real servers on loopback, and what Signet 0.58.1 says of each."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from native_routes.searching import embedding_provider, service_reply
from native_routes.searching.service_reply import ServiceError, ServiceReply
from parity_tests.harness.embedder import Embedder
from tests.native_routes.asking import ask, value
from tests.native_routes.home_database import HomeDatabase
from tests.native_routes.status_context import Context, context_for

STATUS = b"/api/embeddings/status"
TRACKER = {"running": True, "processed": 3, "failed": 0, "skippedCycles": 1, "lastCycleAt": None, "queueDepth": 0}


@pytest.fixture
def embedder() -> Iterator[Embedder]:
    with Embedder() as running:
        yield running


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    (tmp_path / "memory").mkdir()
    HomeDatabase(tmp_path / "memory" / "memories.db").close()
    async with context_for(tmp_path) as made:
        yield made


@asynccontextmanager
async def server(reply: bytes) -> AsyncIterator[str]:
    """The address of a server that sends these bytes to whoever asks, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"


def sized(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


def nowhere() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def ollama(url: str, model: str = "parity") -> str:
    return f"embedding:\n  provider: ollama\n  model: {model}\n  base_url: {url}\n"


def openai(url: str, key: str | None = "k") -> str:
    section = f"embedding:\n  provider: openai\n  model: parity\n  base_url: {url}\n"
    return section if key is None else f"{section}  api_key: {key}\n"


async def status(context: Context) -> dict[str, Any]:
    reply = await ask(context, "GET", "/api/embeddings/status")
    assert reply.status == 200
    shown: dict[str, Any] = value(reply)
    return shown


async def test_status_shows_every_key_in_legacys_order(context: Context, embedder: Embedder) -> None:
    context.configure(ollama(f"{embedder.url}/"))
    context.told[STATUS] = {"provider": "other", "available": False, "tracker": TRACKER}
    reply = await ask(context, "GET", "/api/embeddings/status")
    assert reply.body.decode() == (
        f'{{"provider":"ollama","model":"parity","base_url":"{embedder.url}/","available":true,'
        '"checkedAt":"2026-11-21T04:06:40.000Z","dimensions":768,"tracker":{"running":true,"processed":3,"failed":0,'
        '"skippedCycles":1,"lastCycleAt":null,"queueDepth":0}}'
    )


async def test_tracker_is_null_while_legacy_tells_none(context: Context) -> None:
    context.configure("embedding:\n  provider: none\n")
    assert (await status(context))["tracker"] is None


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [("429", "Ollama returned 429"), ("500", "Ollama returned 500"),
     ("empty", "Model 'parity' not found. Available: none"), ("html", "JSON Parse error: Unrecognized token '<'"),
     ("garbage", "JSON Parse error: Unexpected EOF"), ("close", service_reply.CUT_SHORT)],
)  # fmt: skip
async def test_ollama_that_cannot_be_used_is_told_in_legacys_words(
    context: Context, embedder: Embedder, behaviour: str, error: str
) -> None:
    embedder.behave(behaviour)
    context.configure(ollama(embedder.url))
    shown = await status(context)
    assert (shown["available"], shown["error"]) == (False, error)
    assert "dimensions" not in shown


async def test_ollama_has_each_model_whose_name_begins_so(context: Context, embedder: Embedder) -> None:
    context.configure(ollama(embedder.url, "par"))
    assert (await status(context))["available"] is True
    context.clock.ms += 30_000
    context.configure(ollama(embedder.url, "absent"))
    assert (await status(context))["error"] == "Model 'absent' not found. Available: parity, parity:latest"


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"null", "the list of models is not what Ollama sends"), (b'{"models":"x"}', "the list of models is not what"),
     (b'{"models":[5]}', "the list of models is not"), (b'{"models":[{}]}', "a model without a name"),
     (b'{"models":null}', "Available: none"), (b"[]", "Available: none"), (b"5", "Available: none")],
)  # fmt: skip
async def test_list_of_models_of_another_shape_is_told(context: Context, body: bytes, error: str) -> None:
    async with server(sized(body)) as url:
        context.configure(ollama(url))
        assert error in (await status(context))["error"]


async def test_model_before_one_without_a_name_is_found(context: Context) -> None:
    async with server(sized(b'{"models":[{"name":"parity:1"},{}]}')) as url:
        context.configure(ollama(url))
        assert (await status(context))["available"] is True


async def test_ollama_that_hangs_is_given_up(
    context: Context, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_provider, "OLLAMA_WITHIN_S", 0.1)
    embedder.behave("hang")
    context.configure(ollama(embedder.url))
    assert (await status(context))["error"] == "The operation timed out."


@pytest.mark.parametrize(
    ("behaviour", "available", "dimensions"),
    [("ok", True, 768), ("wrong-dimensions", True, 8), ("500", False, None), ("empty", False, None),
     ("garbage", False, None), ("close", False, None)],
)  # fmt: skip
async def test_openai_is_asked_for_a_real_embedding(
    context: Context, embedder: Embedder, behaviour: str, available: bool, dimensions: int | None
) -> None:
    embedder.behave(behaviour)
    context.configure(openai(f"{embedder.url}/v1/"))
    shown = await status(context)
    assert (shown["available"], shown.get("dimensions")) == (available, dimensions)
    assert shown.get("error") == (None if available else "Failed to generate test embedding")


@pytest.mark.parametrize(
    ("body", "dimensions"),
    [(b'{"data":[{"embedding":"four"}]}', 4), (b'{"data":{"0":{"embedding":[1,2]}}}', 2),
     (b'{"data":[{"embedding":{}}]}', None), (b'{"data":[{"embedding":[]}]}', 0)],
)  # fmt: skip
async def test_whatever_is_something_counts_as_an_embedding(
    context: Context, body: bytes, dimensions: int | None
) -> None:
    async with server(sized(body)) as url:
        context.configure(openai(url))
        shown = await status(context)
    assert (shown["available"], shown.get("dimensions")) == (True, dimensions)


async def test_openai_without_a_key_is_not_asked(context: Context, embedder: Embedder) -> None:
    context.configure(openai(f"{embedder.url}/v1", key=None))
    assert (await status(context))["error"] == "Missing OpenAI API key"
    assert embedder.take_calls() == []


async def test_key_of_the_environment_counts_where_none_is_configured(context: Context, embedder: Embedder) -> None:
    context.environment["OPENAI_API_KEY"] = "from the environment"
    context.configure(openai(f"{embedder.url}/v1", key=None))
    assert (await status(context))["available"] is True


async def test_what_was_found_counts_for_half_a_minute_whatever_is_configured(
    context: Context, embedder: Embedder
) -> None:
    context.configure("embedding:\n  provider: none\n")
    first = await status(context)
    context.configure(ollama(embedder.url))
    context.clock.ms += 29_999
    assert await status(context) == first
    health = value(await ask(context, "GET", "/api/embeddings/health"))
    assert health["config"]["provider"] == "ollama"
    assert health["checks"][0]["detail"]["provider"] == "none"
    context.clock.ms += 1
    assert (await status(context))["available"] is True


async def test_requests_that_come_together_ask_once(context: Context, embedder: Embedder) -> None:
    context.configure(ollama(embedder.url))
    shown = await asyncio.gather(*[status(context) for _ in range(8)])
    assert all(one == shown[0] for one in shown)
    assert len(embedder.take_calls()) == 1


@pytest.mark.parametrize("config", ["", "embedding:\n  provider: openai\n  api_key: $secret:KEY\n"])
async def test_legacys_own_status_counts_where_only_legacy_can_know(context: Context, config: str) -> None:
    context.configure(config)
    told = {"provider": "p", "model": "m", "base_url": "u", "available": True, "checkedAt": "then", "dimensions": 5}
    context.told[STATUS] = {**told, "tracker": None}
    assert await status(context) == {**told, "tracker": None}
    check = value(await ask(context, "GET", "/api/embeddings/health"))["checks"][0]
    assert check == {"name": "provider-available", "status": "ok", "message": "p (m) is reachable"}


async def test_legacys_own_status_saves_asking_the_provider_twice_while_it_is_fresh(
    context: Context, embedder: Embedder
) -> None:
    context.configure(ollama(embedder.url))
    told = {"provider": "p", "model": "m", "base_url": "u", "available": False, "checkedAt": "2026-11-21T04:06:10.001Z"}
    context.told[STATUS] = {**told, "error": "e", "tracker": None}
    assert await status(context) == context.told[STATUS]
    assert embedder.take_calls() == []
    context.clock.ms += 1
    assert (await status(context))["available"] is True
    assert len(embedder.take_calls()) == 1
    assert value(await ask(context, "GET", "/api/embeddings/health"))["checks"][0]["status"] == "ok"


async def test_stored_key_cannot_be_read_without_legacy(context: Context) -> None:
    context.configure("embedding:\n  provider: openai\n  api_key: op://vault/item\n")
    shown = await status(context)
    assert shown["error"] == "embedding.api_key names a stored secret, which only the legacy daemon can read"


@pytest.mark.parametrize(
    ("body", "available", "error"),
    [(b'{"models":[{"name":"nomic-embed-text:latest"}]}', True, "Native unavailable — using ollama fallback"),
     (b'{"models":[]}', False, "Native: Native embedding provider not ready. "
                               "Ollama available but nomic-embed-text not found."),
     (b"<", False, "Native: Native embedding provider not ready. Ollama not reachable.")],
)  # fmt: skip
async def test_native_model_without_legacy_is_what_ollama_has_instead(
    context: Context, monkeypatch: pytest.MonkeyPatch, body: bytes, available: bool, error: str
) -> None:
    context.configure("")
    async with server(sized(body)) as url:
        monkeypatch.setattr(embedding_provider, "FALLBACK_TAGS_URL", url)
        shown = await status(context)
    assert (shown["available"], shown["error"]) == (available, error)
    assert shown.get("dimensions") == (768 if available else None)


@pytest.mark.parametrize(
    ("url", "error"),
    [("no address", "fetch() URL is invalid"), ("/api", "fetch() URL is invalid"), ("", "fetch() URL is invalid"),
     ("127.0.0.1:9", "fetch() URL is invalid"), ("http://127.0.0.1:99999", "fetch() URL is invalid"),
     ("http://[::1", "fetch() URL is invalid"), ("http://exa mple", "fetch() URL is invalid"),
     ("ftp://127.0.0.1", "protocol must be http:, https: or s3:"),
     ("http://nobody.invalid", "getaddrinfo ENOTFOUND nobody.invalid")],
)  # fmt: skip
async def test_address_that_is_none_is_told_as_bun_tells_it(url: str, error: str) -> None:
    with pytest.raises(ServiceError) as raised:
        await service_reply.get(url, 5.0)
    assert str(raised.value) == error


async def test_address_may_lack_its_scheme_or_slashes() -> None:
    async with server(sized(b"{}")) as url:
        port = url.rpartition(":")[2]
        names = (
            f"localhost:{port}/x",
            f"http:127.0.0.1:{port}",
            f"HTTP:///127.0.0.1:{port}",
            f"http://localhost:{port}",
        )
        for spelled in names:
            assert (await service_reply.get(spelled, 5.0)).is_success


async def test_port_where_nothing_listens_is_told() -> None:
    with pytest.raises(ServiceError, match="Unable to connect"):
        await service_reply.get(nowhere(), 5.0)


@pytest.mark.parametrize("reply", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
async def test_reply_that_is_not_whole_is_told(reply: bytes) -> None:
    async with server(reply) as url:
        with pytest.raises(ServiceError, match="closed unexpectedly"):
            await service_reply.get(url, 5.0)


async def test_redirects_without_end_are_told() -> None:
    async with server(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n") as url:
        with pytest.raises(ServiceError, match="redirected too many times"):
            await service_reply.get(url, 5.0)


@pytest.mark.parametrize(
    ("body", "error"),
    [("", "Unexpected end of JSON input"), ("[", "JSON Parse error: Unexpected EOF"),
     ("nul", 'JSON Parse error: Unexpected identifier "nul"'), ("]", "JSON Parse error: Unexpected token ']'"),
     ("é", "JSON Parse error: Unrecognized token 'é'"), ("[] []", "JSON Parse error: Unable to parse JSON string")],
)  # fmt: skip
def test_body_that_is_no_json_is_told_as_bun_tells_it(body: str, error: str) -> None:
    with pytest.raises(ServiceError) as raised:
        ServiceReply(200, body.encode()).json()
    assert str(raised.value) == error


@pytest.mark.parametrize("key", ["umlaut \xfc", "   "])
async def test_a_key_that_fetch_can_send_is_sent(context: Context, embedder: Embedder, key: str) -> None:
    context.environment = {"OPENAI_API_KEY": key}
    context.configure(openai(f"{embedder.url}/v1", None))

    assert (await status(context))["available"]


async def test_a_byte_order_mark_is_no_part_of_the_reply(context: Context) -> None:
    async with server(sized(b'\xef\xbb\xbf{"models":[{"name":"parity"}]}')) as url:
        context.configure(ollama(url))

        assert (await status(context))["available"]
