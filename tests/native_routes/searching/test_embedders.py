"""Text to vector by an embedder on loopback that answers, fails, hangs or sends nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from native_routes.memory_config import EmbeddingConfig
from native_routes.searching import embedders
from native_routes.searching.embedders import Embedder, EmbedderState
from tests.native_routes.loopback_embedder import Behaviour, LoopbackEmbedder, text_vector

OFF = EmbeddingConfig(provider="none")


@pytest.fixture
async def service() -> AsyncIterator[LoopbackEmbedder]:
    async with LoopbackEmbedder() as service:
        yield service


@pytest.fixture
async def embedder() -> AsyncIterator[Embedder]:
    embedder = Embedder()
    yield embedder
    await embedder.close()


def ollama(service: LoopbackEmbedder, model: str = "m") -> EmbeddingConfig:
    return EmbeddingConfig(provider="ollama", model=model, base_url=service.url + "/")


def openai(service: LoopbackEmbedder, key: object = None) -> EmbeddingConfig:
    return EmbeddingConfig(provider="openai", model="m", base_url=f"{service.url}/v1", api_key=key)


async def test_ollama_is_asked_for_a_prompt(service: LoopbackEmbedder, embedder: Embedder) -> None:
    vector = await embedder.embed('a "quoted" ü', ollama(service))

    assert vector is not None
    assert np.array_equal(vector, text_vector('a "quoted" ü'))
    path, fields, body = service.requests[0]
    assert (path, body) == ("/api/embeddings", {"model": "m", "prompt": 'a "quoted" ü'})
    assert "authorization" not in fields
    assert embedder.status.state is EmbedderState.READY


async def test_openai_is_asked_for_an_input_with_the_key(service: LoopbackEmbedder, embedder: Embedder) -> None:
    vector = await embedder.embed("text", openai(service, " k "))

    assert vector is not None
    path, fields, body = service.requests[0]
    assert (path, body) == ("/v1/embeddings", {"model": "m", "input": "text"})
    assert fields["authorization"] == "Bearer k"


async def test_any_unknown_provider_speaks_as_openai_does(service: LoopbackEmbedder, embedder: Embedder) -> None:
    config = EmbeddingConfig(provider="someone", model="m", base_url=service.url)

    assert await embedder.embed("text", config) is not None


async def test_the_environments_key_is_used_without_a_configured_one(service: LoopbackEmbedder) -> None:
    embedder = Embedder(openai_api_key="from environment")
    await embedder.embed("text", openai(service))
    await embedder.close()

    assert service.requests[0][1]["authorization"] == "Bearer from environment"


async def test_openai_itself_is_not_asked_without_a_key(embedder: Embedder) -> None:
    config = EmbeddingConfig(provider="openai", base_url="https://api.openai.com/v1")

    assert await embedder.embed("text", config) is None
    assert "API key" in (embedder.status.problem or "")


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        ("pasted\r\n", "Bearer pasted"),
        ("in\tthe middle \t", "Bearer in\tthe middle"),
        ("k\xfc", "Bearer k\xfc"),
        ("   ", "Bearer"),
        ("", None),
        ("two\nlines", "nothing is sent"),
        ("nul\0", "nothing is sent"),
        ("\U0001f600", "nothing is sent"),
    ],
)
async def test_a_key_is_sent_as_fetch_sends_it(service: LoopbackEmbedder, key: str, sent: str | None) -> None:
    async def resolve(name: str) -> str:
        return key

    embedder = Embedder(resolve_secret=resolve)
    answered = await embedder.embed("text", openai(service, "$secret:NAME")) is not None
    await embedder.close()

    assert answered == (sent != "nothing is sent")
    assert [fields.get("authorization") for _, fields, _ in service.requests] == ([sent] if answered else [])


@pytest.mark.parametrize("key", ["$secret:NAME", "op://vault/item"])
async def test_a_stored_secret_is_resolved_or_said_to_be_unreadable(service: LoopbackEmbedder, key: str) -> None:
    async def resolve(name: str) -> str:
        return f"value of {name}"

    without, resolving = Embedder(), Embedder(resolve_secret=resolve)
    assert await without.embed("text", openai(service, key)) is None
    assert "stored secret" in (without.status.problem or "")

    assert await resolving.embed("text", openai(service, key)) is not None
    assert service.requests[0][1]["authorization"] == f"Bearer value of {key}"
    await without.close()
    await resolving.close()


async def test_no_provider_is_off_and_asks_nobody(embedder: Embedder) -> None:
    assert await embedder.embed("text", OFF) is None
    assert embedder.status.state is EmbedderState.OFF


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [("fails", "answered 503"), ("closes", "ended before"), ("is no json", "no vector")],
)
async def test_a_failing_embedder_gives_no_vector_and_says_why(
    service: LoopbackEmbedder, embedder: Embedder, behaviour: Behaviour, problem: str
) -> None:
    service.behaviour = behaviour

    assert await embedder.embed("text", ollama(service)) is None
    assert embedder.status.state is EmbedderState.COOLING
    assert problem in (embedder.status.problem or "")


async def test_an_embedder_that_is_not_there_is_named_with_its_address(embedder: Embedder) -> None:
    assert await embedder.embed("text", EmbeddingConfig(provider="ollama", base_url="http://127.0.0.1:1")) is None
    assert "127.0.0.1:1" in (embedder.status.problem or "")


async def test_an_address_that_is_none_is_a_failure_like_another(embedder: Embedder) -> None:
    for url in ("", "localhost:11434", "http://[::1", "ftp://host", "http://host\r\nx: y"):
        assert await embedder.embed("text", EmbeddingConfig(provider="ollama", base_url=url)) is None


async def test_a_hanging_embedder_is_given_up_at_the_timeout(
    service: LoopbackEmbedder, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedders, "TIMEOUT_S", 0.05)
    service.behaviour = "hangs"

    assert await embedder.embed("text", ollama(service)) is None
    assert "did not answer within 0.05 s" in (embedder.status.problem or "")


async def test_the_next_request_after_a_failure_is_tried(service: LoopbackEmbedder, embedder: Embedder) -> None:
    service.behaviour = "fails"
    assert await embedder.embed("text", ollama(service)) is None

    service.behaviour = "answers"
    assert await embedder.embed("text", ollama(service)) is not None
    assert embedder.status.state is EmbedderState.READY


async def test_what_is_no_list_makes_an_empty_vector_as_in_javascript(
    service: LoopbackEmbedder, embedder: Embedder
) -> None:
    service.behaviour = "sends text"
    vector = await embedder.embed("text", ollama(service))

    assert vector is not None
    assert len(vector) == 0


async def test_a_vector_of_another_length_is_passed_on(service: LoopbackEmbedder, embedder: Embedder) -> None:
    service.behaviour = "sends half"
    vector = await embedder.embed("text", ollama(service))

    assert vector is not None
    assert len(vector) == 384


async def test_a_query_that_came_before_does_not_wait_for_an_embedder_that_hangs(
    service: LoopbackEmbedder, embedder: Embedder
) -> None:
    vector = await embedder.embed_query("same", ollama(service))
    service.behaviour = "hangs"

    assert await embedder.embed_query("same", ollama(service)) is vector
    assert service.asked == {"same": 2}


async def test_a_query_that_came_before_gets_the_embedders_refusal(
    service: LoopbackEmbedder, embedder: Embedder
) -> None:
    await embedder.embed_query("same", ollama(service))
    service.behaviour = "fails"

    assert await embedder.embed_query("same", ollama(service)) is None


@pytest.mark.parametrize("model", ["m", "another"])
async def test_a_changed_configuration_forgets_vectors(
    service: LoopbackEmbedder, embedder: Embedder, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedders, "TIMEOUT_S", 0.3)
    known = await embedder.embed_query("same", ollama(service, model="m"))
    service.behaviour = "hangs"

    assert (await embedder.embed_query("same", ollama(service, model=model)) is known) == (model == "m")


async def test_the_oldest_vector_gives_way(service: LoopbackEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedders, "TIMEOUT_S", 0.3)
    embedder = Embedder(cached_vectors=2)
    for text in ("a", "b", "a", "c"):
        await embedder.embed_query(text, ollama(service))
    service.behaviour = "hangs"
    kept = [text for text in "abc" if await embedder.embed_query(text, ollama(service)) is not None]
    await embedder.close()

    assert kept == ["a", "c"]


async def test_close_ends_what_is_still_asked(service: LoopbackEmbedder, embedder: Embedder) -> None:
    await embedder.embed_query("same", ollama(service))
    service.behaviour = "hangs"
    await embedder.embed_query("same", ollama(service))

    await embedder.close()
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > 1 + service.connections:  # noqa: ASYNC110  # no event tells it
            await asyncio.sleep(0)


async def test_connections_are_kept_and_a_closed_one_is_replaced(service: LoopbackEmbedder, embedder: Embedder) -> None:
    await embedder.embed_query("a", ollama(service))
    await embedder.embed_query("b", ollama(service))
    assert service.connections == 1

    await service.drop_connections()
    assert await embedder.embed_query("c", ollama(service)) is not None
    assert service.connections == 2


async def test_text_is_sent_once_also_when_a_kept_connection_ends_without_a_reply(
    service: LoopbackEmbedder, embedder: Embedder
) -> None:
    await embedder.embed("a", ollama(service))
    service.behaviour = "closes"
    assert await embedder.embed("b", ollama(service)) is None
    assert service.asked["b"] == 1

    service.behaviour = "answers"
    assert await embedder.embed("b", ollama(service)) is not None


@pytest.mark.parametrize(
    ("below", "asked"),
    [
        ("/a b", "/a%20b/api/embeddings"),
        ("/ü", "/%C3%BC/api/embeddings"),
        ("/a/../b", "/b/api/embeddings"),
        ("/a%20b", "/a%20b/api/embeddings"),
        ("/x?q=1", "/x?q=1/api/embeddings"),
        ("/x#f", "/x"),
    ],
)
async def test_the_path_of_an_address_is_sent_as_fetch_sends_it(
    service: LoopbackEmbedder, embedder: Embedder, below: str, asked: str
) -> None:
    await embedder.embed("text", EmbeddingConfig(provider="ollama", model="m", base_url=service.url + below))
    assert [path for path, _, _ in service.requests] == [asked]


@pytest.mark.parametrize(
    "address", ["localhost:{port}", "http:127.0.0.1:{port}", "http:///127.0.0.1:{port}", " http:\\\\127.0.0.1:{port}\t"]
)
async def test_what_fetch_takes_for_an_address_is_one(
    service: LoopbackEmbedder, embedder: Embedder, address: str
) -> None:
    config = EmbeddingConfig(provider="ollama", model="m", base_url=address.format(port=service.port))

    assert await embedder.embed("text", config) is not None
    assert [path for path, _, _ in service.requests] == ["/api/embeddings"]


UNPARSED = {"provider": "openai", "model": "m", "error": "JSON Parse error: Unrecognized token '<'"}
CLOSED = "The socket connection was closed unexpectedly"


@pytest.mark.parametrize(
    ("behaviour", "provider", "message", "data"),
    [
        ("fails", "ollama", "Ollama embedding request failed", {"status": 503, "model": "m"}),
        ("fails", "openai", "Embedding API request failed", {"status": 503, "provider": "openai", "model": "m"}),
        ("is no json", "openai", "Embedding fetch error", UNPARSED),
        ("answers", "ollama", None, None),
    ],
)
async def test_signets_log_is_told_of_each_failure_in_legacys_words(
    service: LoopbackEmbedder, behaviour: Behaviour, provider: str, message: str | None, data: object
) -> None:
    told: list[tuple[str, object]] = []
    embedder = Embedder(tell=lambda message, data: told.append((message, data)))
    service.behaviour = behaviour
    config = ollama(service) if provider == "ollama" else openai(service)
    for _ in range(2):
        await embedder.embed("text", config)
    await embedder.close()

    assert told == ([] if message is None else [(message, data)] * 2)


async def test_signets_log_is_told_why_an_embedder_cannot_be_asked_in_legacys_words(
    service: LoopbackEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    embedder = Embedder(tell=lambda message, data: told.append((data or {}).get("error", message)))
    for url in ("http://127.0.0.1:1", "nonsense", "https://api.openai.com/v1"):
        await embedder.embed("text", EmbeddingConfig(provider="openai", model="m", base_url=url))
    service.behaviour = "closes"
    await embedder.embed("text", ollama(service))
    monkeypatch.setattr(embedders, "TIMEOUT_S", 0.05)
    service.behaviour = "hangs"
    await embedder.embed("text", ollama(service))
    await embedder.close()

    assert [str(error).partition(". For")[0] for error in told] == [
        "Unable to connect. Is the computer able to access the url?",
        "fetch() URL is invalid",
        "No API key configured for OpenAI embeddings, skipping request to api.openai.com",
        CLOSED,
        "The operation timed out.",
    ]
