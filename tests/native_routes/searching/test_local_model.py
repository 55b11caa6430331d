"""The embedding model in this process: small real ONNX models on disk, run by the real runtime."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from native_routes.declaration import LeftToLegacy
from native_routes.memory_config import EmbeddingConfig
from native_routes.searching import embedders, local_model
from native_routes.searching.embedders import Embedder, EmbedderState
from native_routes.searching.embedding_failures import EmbeddingError
from native_routes.searching.local_model import DIMENSIONS, MODEL, LocalModel
from native_routes.searching.onnx_encoder import MODEL_FILE
from tests.native_routes.lookup_model import mean_vector, write_lookup_model
from tests.native_routes.loopback_embedder import LoopbackEmbedder
from tests.native_routes.sentence_model import WIDTH, write_sentence_model

NATIVE = EmbeddingConfig(provider="native")
LONG = "the quick brown fox " * 120  # half a second for the sentence model

# A memory; the same in other words; something else that shares words with it.
MEANINGS = (
    ("The cat sits on the mat.", "A feline is resting on a rug.", "The price sits on the label."),
    ("Revenue fell by ten percent.", "Income was down by a tenth.", "Rain fell by the river."),
    ("We deploy every Friday.", "Releases go out at the end of each week.", "We eat fish every Friday."),
    ("He prefers tabs over spaces.", "His indentation of choice is the tab character.", "He prefers tea over coffee."),
)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models in which the place of legacy's model is taken by a small real one."""
    models_path = tmp_path_factory.mktemp("sentences")
    write_sentence_model(models_path / MODEL)
    return models_path


@pytest.fixture
async def sentence_model(sentences: Path) -> AsyncIterator[LocalModel]:
    model = LocalModel(sentences, dimensions=WIDTH)
    yield model
    await model.close()


@pytest.fixture
async def lookup_model(tmp_path: Path) -> AsyncIterator[LocalModel]:
    """In `tmp_path`, where a test puts a model."""
    model = LocalModel(tmp_path, dimensions=4)
    yield model
    await model.close()


async def embed(model: LocalModel, text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    vector = await model.embed(text, 30)
    assert vector is not None, model.status.problem
    return vector


@pytest.mark.parametrize(("text", "paraphrase", "other"), MEANINGS)
async def test_other_words_for_the_same_are_nearer_than_the_same_words_for_something_else(
    sentence_model: LocalModel, text: str, paraphrase: str, other: str
) -> None:
    memory, near, far = [await embed(sentence_model, each) for each in (text, paraphrase, other)]

    assert memory @ near > memory @ far
    assert memory @ near > 0.4


async def test_a_vector_has_the_length_one(sentence_model: LocalModel) -> None:
    vector = await embed(sentence_model, "text")

    assert vector.dtype == np.float32
    assert vector.shape == (WIDTH,)
    assert float(vector @ vector) == pytest.approx(1, abs=1e-6)


async def test_a_text_has_the_same_vector_whoever_asks_beside_it(sentence_model: LocalModel) -> None:
    alone = await embed(sentence_model, "red")
    together = await asyncio.gather(*(embed(sentence_model, text) for text in ("a longer text than this", "red")))

    assert np.array_equal(together[1], alone)


async def test_the_event_loop_runs_on_while_a_text_is_embedded(sentence_model: LocalModel) -> None:
    embedding = asyncio.ensure_future(embed(sentence_model, LONG))
    turns = 0
    while not embedding.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns > 100


async def test_a_text_that_takes_too_long_is_given_up_and_the_next_is_answered(sentence_model: LocalModel) -> None:
    await embed(sentence_model, "so that it is loaded")
    with pytest.raises(EmbeddingError, match=r"did not answer within 0\.001 s"):
        await sentence_model.embed(LONG, 0.001)

    assert await sentence_model.embed("short", 30) is not None
    assert sentence_model.status.state is EmbedderState.READY


async def test_who_comes_when_too_many_wait_is_told(
    sentence_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_model, "MOST_WAITING", 1)
    first = asyncio.ensure_future(embed(sentence_model, "first"))
    await asyncio.sleep(0)
    with pytest.raises(EmbeddingError, match="wait"):
        await sentence_model.embed("second", 30)

    await first
    assert await sentence_model.embed("second", 30) is not None


async def test_closing_ends_what_runs_and_what_waits(sentence_model: LocalModel) -> None:
    await embed(sentence_model, "so that it is loaded")
    asked = [asyncio.ensure_future(sentence_model.embed(LONG, 30)) for _ in range(20)]
    await asyncio.sleep(0)
    await sentence_model.close()

    assert None in await asyncio.gather(*asked)
    assert await sentence_model.embed("later", 30) is None


async def test_a_vector_is_the_mean_of_all_tokens(tmp_path: Path, lookup_model: LocalModel) -> None:
    write_lookup_model(tmp_path / MODEL)

    assert await embed(lookup_model, "Red  red\nblue") == pytest.approx(
        mean_vector("[CLS]", "red", "red", "blue", "[SEP]"), abs=1e-6
    )
    assert await embed(lookup_model, "") == pytest.approx(mean_vector("[CLS]", "[SEP]"), abs=1e-6)


async def test_a_long_text_loses_its_end_and_the_closing_token(tmp_path: Path, lookup_model: LocalModel) -> None:
    write_lookup_model(tmp_path / MODEL, most_tokens=4)
    begins = mean_vector("[CLS]", "red", "green", "blue")

    assert await embed(lookup_model, "red green blue") == pytest.approx(begins, abs=1e-6)
    assert await embed(lookup_model, "red green blue" + " black" * 10_000) == pytest.approx(begins, abs=1e-6)
    assert await embed(lookup_model, "red green" + " " * 1_000 + "blue black") == pytest.approx(begins, abs=1e-6)


async def test_half_a_character_is_an_unknown_word(tmp_path: Path, lookup_model: LocalModel) -> None:
    write_lookup_model(tmp_path / MODEL)

    assert await embed(lookup_model, "red \ud800") == pytest.approx(
        mean_vector("[CLS]", "red", "[UNK]", "[SEP]"), abs=1e-6
    )


async def test_without_a_model_there_is_no_vector_and_the_missing_file_is_named(
    tmp_path: Path, lookup_model: LocalModel
) -> None:
    assert await lookup_model.embed("text", 30) is None
    assert lookup_model.status.state is EmbedderState.OFF
    assert f"{tmp_path / MODEL} has no tokenizer.json" in (lookup_model.status.problem or "")


async def test_a_model_that_comes_later_is_used(
    tmp_path: Path, lookup_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_model, "LOOK_AGAIN_S", 0.0)
    assert await lookup_model.embed("text", 30) is None

    write_lookup_model(tmp_path / MODEL)
    assert await lookup_model.embed("text", 30) is not None
    assert lookup_model.status == local_model.LocalModelStatus(EmbedderState.READY)


async def test_without_the_extra_the_model_is_off_and_the_extra_named(
    tmp_path: Path, lookup_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lookup_model(tmp_path / MODEL)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    assert await lookup_model.embed("text", 30) is None
    assert lookup_model.status.state is EmbedderState.OFF
    assert "`local-model` is not installed" in (lookup_model.status.problem or "")


async def test_a_file_that_is_not_whole_is_not_read_again_at_once(
    tmp_path: Path, lookup_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lookup_model(tmp_path / MODEL)
    path = tmp_path / MODEL / "onnx" / "model_quantized.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert await lookup_model.embed("text", 30) is None
    assert lookup_model.status.state is EmbedderState.COOLING

    path.write_bytes(whole)
    assert await lookup_model.embed("text", 30) is None
    monkeypatch.setattr(lookup_model, "_rests_until", 0.0)
    assert await lookup_model.embed("text", 30) is not None


async def test_a_model_of_another_width_is_not_used(tmp_path: Path) -> None:
    write_lookup_model(tmp_path / MODEL)
    model = LocalModel(tmp_path)

    assert await model.embed("text", 30) is None
    assert f"vectors of 4 numbers: expected {DIMENSIONS}" in (model.status.problem or "")
    await model.close()


async def test_a_model_that_is_no_sentence_encoder_is_not_used(tmp_path: Path, lookup_model: LocalModel) -> None:
    write_lookup_model(tmp_path / MODEL, output="scores")

    assert await lookup_model.embed("text", 30) is None
    assert lookup_model.status.state is EmbedderState.COOLING
    assert "the model gives scores" in (lookup_model.status.problem or "")


# ---- as the provider `native`


async def test_the_provider_native_is_the_local_model(tmp_path: Path, lookup_model: LocalModel) -> None:
    write_lookup_model(tmp_path / MODEL)
    embedder = Embedder(local_model=lookup_model)
    vector = await embedder.embed("red", NATIVE)
    await embedder.close()

    assert vector == pytest.approx(mean_vector("[CLS]", "red", "[SEP]"), abs=1e-6)
    assert (embedder.status.state, embedder.status.answered_by) == (EmbedderState.READY, "local model")


async def test_without_the_model_ollama_answers_for_the_provider_native_and_is_named(
    lookup_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LoopbackEmbedder() as ollama:
        monkeypatch.setattr(embedders, "OLLAMA_URL", ollama.url)
        embedder = Embedder(local_model=lookup_model)
        vector = await embedder.embed("red", NATIVE)
        await embedder.close()

    assert vector is not None
    assert ollama.requests[0][2] == {"model": "nomic-embed-text", "prompt": "red"}
    assert (embedder.status.state, embedder.status.answered_by) == (EmbedderState.READY, f"127.0.0.1:{ollama.port}")


async def test_when_neither_answers_both_reasons_are_told(
    lookup_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedders, "OLLAMA_URL", "http://127.0.0.1:1")
    embedder = Embedder(local_model=lookup_model)
    vector = await embedder.embed("red", NATIVE)
    await embedder.close()

    assert vector is None
    assert embedder.status.state is EmbedderState.COOLING
    assert "has no tokenizer.json; " in (embedder.status.problem or "")
    assert "127.0.0.1:1" in (embedder.status.problem or "")


async def test_another_provider_never_reaches_the_local_model(tmp_path: Path, lookup_model: LocalModel) -> None:
    write_lookup_model(tmp_path / MODEL)
    embedder = Embedder(local_model=lookup_model)
    config = EmbeddingConfig(provider="ollama", base_url="http://127.0.0.1:1")

    assert await embedder.embed("red", config) is None
    assert lookup_model.status.state is EmbedderState.WARMING
    await embedder.close()


async def test_a_model_that_nothing_here_can_run_leaves_its_requests_to_a_legacy_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # as without the extra
    models = tmp_path / ".models"
    answers = True
    embedder = Embedder(local_model=LocalModel(models), legacy_answers=lambda: answers)
    native, ollama = EmbeddingConfig(), EmbeddingConfig(provider="ollama")

    embedder.leave_to_legacy(native)  # legacy has no model either
    (models / MODEL / MODEL_FILE).parent.mkdir(parents=True)
    (models / MODEL / MODEL_FILE).touch()
    with pytest.raises(LeftToLegacy):
        embedder.leave_to_legacy(native)
    embedder.leave_to_legacy(ollama)
    answers = False
    embedder.leave_to_legacy(native)  # words are better than nothing
    await embedder.close()


async def test_a_model_that_can_be_run_here_leaves_nothing_to_legacy(tmp_path: Path) -> None:
    (tmp_path / MODEL / MODEL_FILE).parent.mkdir(parents=True)
    (tmp_path / MODEL / MODEL_FILE).touch()
    embedder = Embedder(local_model=LocalModel(tmp_path), legacy_answers=lambda: True)

    embedder.leave_to_legacy(EmbeddingConfig())
    await embedder.close()
