"""Embedders behind TLS, which are called through httpx: the one way to a provider that no service on loopback shows.

The cassettes were recorded from a stand-in that answers as the providers document it, with vectors of 16 numbers.
`--record-mode=rewrite` and a key in OPENAI_API_KEY record OpenAI itself; neither keys nor headers that name an account
get into a cassette.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from native_routes.memory_config import EmbeddingConfig
from native_routes.searching.embedders import Embedder, EmbedderState

KEPT_FIELDS = {"content-type", "content-encoding"}
OPENAI = EmbeddingConfig(provider="openai", model="text-embedding-3-small", base_url="https://api.openai.com/v1")
OLLAMA = EmbeddingConfig(provider="ollama", model="nomic-embed-text", base_url="https://ollama.example")


def scrub(reply: dict[str, Any]) -> dict[str, Any]:
    reply["headers"] = {name: value for name, value in reply["headers"].items() if name.lower() in KEPT_FIELDS}
    return reply


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    return {
        "filter_headers": ["authorization", "cookie", "user-agent"],
        "before_record_response": scrub,
        "match_on": ["method", "scheme", "host", "port", "path", "query", "body"],
    }


@pytest.fixture
async def embedder() -> AsyncIterator[Embedder]:
    embedder = Embedder(openai_api_key=os.environ.get("OPENAI_API_KEY", "no key is needed to play"))
    yield embedder
    await embedder.close()


@pytest.mark.vcr
async def test_a_compressed_reply_of_openai_is_a_vector(embedder: Embedder) -> None:
    vector = await embedder.embed("We deploy every Friday. \N{ROCKET}", OPENAI)

    assert vector is not None
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-4)
    assert (embedder.status.state, embedder.status.answered_by) == (EmbedderState.READY, "api.openai.com")


@pytest.mark.vcr
async def test_a_key_that_openai_refuses_is_no_vector_and_is_not_repeated(embedder: Embedder) -> None:
    vector = await embedder.embed("text", replace(OPENAI, api_key="sk-not-a-key"))

    assert vector is None
    assert embedder.status.problem == "https://api.openai.com/v1/embeddings answered 401"


@pytest.mark.vcr
async def test_an_ollama_behind_tls_is_asked_for_a_prompt(embedder: Embedder) -> None:
    vector = await embedder.embed("text", OLLAMA)

    assert vector is not None
    assert (len(vector), embedder.status.answered_by) == (16, "ollama.example")


def test_no_cassette_holds_a_key() -> None:
    cassettes = list((Path(__file__).parent / "cassettes").rglob("*.yaml"))

    assert len(cassettes) == 3
    for cassette in cassettes:
        text = cassette.read_text().lower()
        assert not any(word in text for word in ("authorization", "bearer", "sk-", "cookie", "organization"))
