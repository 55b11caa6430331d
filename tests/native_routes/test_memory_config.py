"""The configuration of memory requests: legacy's defaults, aliases and clamps, and when a file is read again."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from native_routes.agent_yaml import parse
from native_routes.memory_config import MemoryConfig, MemoryConfigFile
from native_routes.pipeline_config import read_pipeline


def config(text: str = "") -> MemoryConfig:
    return MemoryConfig.of(parse(text))


def test_an_empty_file_gives_every_default() -> None:
    found = config()

    assert found.embedding.provider == "native"
    assert (found.embedding.model, found.embedding.dimensions) == ("nomic-embed-text-v1.5", 768)
    assert (found.search.alpha, found.search.top_k, found.search.min_score) == (0.7, 20, 0.1)
    assert (found.search.rehearsal_enabled, found.search.rehearsal_weight) == (True, 0.1)
    assert found.graph.enabled
    assert found.traversal.max_dependency_hops == 30
    assert found.reranker.top_n == 20
    assert found.recall_truncate_chars == 500


@pytest.mark.parametrize(
    ("text", "alpha", "top_k", "min_score"),
    [
        ("search:\n  top_k: 5\n  min_score: 0.9", 0.7, 20, 0.1),
        ("search:\n  alpha: 0.5", 0.5, 20, 0.3),
        ("search:\n  alpha: 0.5 # half\n  top_k: 7.9\n  min_score: 0", 0.5, 7, 0),
        ("search: none", 0.7, 20, 0.1),
    ],
    ids=["alone they do not count", "alpha changes min_score", "prefixes of numbers", "not a section"],
)
def test_alpha_makes_the_other_search_settings_count(text: str, alpha: float, top_k: float, min_score: float) -> None:
    search = config(text).search

    assert (search.alpha, search.top_k, search.min_score) == (alpha, top_k, min_score)


def test_a_search_setting_that_is_no_number_is_nan() -> None:
    search = config("search:\n  alpha: much\n  top_k: all").search

    assert math.isnan(search.alpha)
    assert math.isnan(search.top_k)


@pytest.mark.parametrize(
    ("text", "enabled", "weight", "half_life"),
    [
        ("search:\n  rehearsal_enabled: yes\n  rehearsal_weight: 7\n  rehearsal_half_life_days: 0", False, 1, 1),
        ("search:\n  rehearsal_enabled: null\n  rehearsal_weight: x", False, 0.1, 30),
        ("search:\n  rehearsal_enabled: true\n  rehearsal_weight: -1", True, 0, 30),
    ],
)
def test_rehearsal_is_clamped_and_only_true_enables_it(
    text: str, enabled: bool, weight: float, half_life: float
) -> None:
    search = config(text).search

    assert (search.rehearsal_enabled, search.rehearsal_weight) == (enabled, weight)
    assert search.rehearsal_half_life_days == half_life


@pytest.mark.parametrize(
    ("text", "provider", "url"),
    [
        ("embedding:\n  provider: ollama", "ollama", "http://localhost:11434"),
        ("embedding:\n  provider: openai\n  base_url:  ", "openai", "https://api.openai.com/v1"),
        ("embedding:\n  provider: ollama\n  endpoint: http://a\n  base_url: http://b", "ollama", "http://b"),
        ("memory:\n  embeddings:\n    provider: ollama\n    endpoint: http://a", "ollama", "http://a"),
        ("embeddings:\n  provider: someone\n  endpoint: http://a", "someone", "http://a"),
        ("embedding:\n  model: x\nembeddings:\n  provider: ollama", "native", ""),
    ],
    ids=["ollama", "openai", "base_url wins", "older section", "oldest section", "the first section counts alone"],
)
def test_the_embedder_is_found_under_each_of_its_names(text: str, provider: str, url: str) -> None:
    embedding = config(text).embedding

    assert (embedding.provider, embedding.base_url) == (provider, url)


def test_without_an_embedder_its_other_settings_do_not_count() -> None:
    embedding = config("embedding:\n  provider: none\n  model: x\n  dimensions: 3").embedding

    assert (embedding.provider, embedding.model, embedding.dimensions) == ("none", "nomic-embed-text-v1.5", 768)


def test_a_key_never_shows_in_the_configuration_as_printed() -> None:
    assert "s3cret" not in repr(config("embedding:\n  provider: openai\n  api_key: s3cret"))


def test_pipeline_settings_have_flat_older_names_and_are_clamped_not_rounded() -> None:
    pipeline = read_pipeline(
        {"graphEnabled": False, "rerankerTopN": 400, "graph": {"boostWeight": 0.123456}, "guardrails": {"x": 1}}
    )

    assert pipeline["graph"] == {"enabled": False, "boostWeight": 0.123456, "boostTimeoutMs": 500}
    assert pipeline["reranker"]["topN"] == 100


def test_a_pipeline_setting_too_long_for_a_number_is_absent() -> None:
    pipeline = read_pipeline(parse(f"graph:\n  boostWeight: {'9' * 400}\nworkerPollMs: -{'9' * 400}"))

    assert (pipeline["graph"]["boostWeight"], pipeline["worker"]["pollMs"]) == (0.15, 2000)


@pytest.mark.parametrize(
    ("section", "provider", "model"),
    [
        ({}, "claude-code", "haiku"),
        ({"extractionModel": "qwen"}, "ollama", "qwen"),
        ({"extractionProvider": "codex", "extraction": {"model": "x"}}, "codex", "haiku"),
        ({"extraction": {"provider": "anthropic", "model": "x"}}, "anthropic", "x"),
    ],
)
def test_provider_and_model_of_extraction_are_a_pair(section: dict[str, object], provider: str, model: str) -> None:
    extraction = read_pipeline(section)["extraction"]

    assert (extraction["provider"], extraction["model"]) == (provider, model)


def test_an_endpoint_that_is_not_set_is_no_key() -> None:
    assert "endpoint" not in read_pipeline({"extraction": {"endpoint": " "}})["extraction"]
    assert read_pipeline({"synthesis": {"base_url": " http://a "}})["synthesis"]["endpoint"] == "http://a"


async def test_an_edit_counts_for_the_next_reading(tmp_path: Path) -> None:
    file = MemoryConfigFile(tmp_path)
    assert (await file.read()).search.alpha == 0.7

    (tmp_path / "config.yaml").write_text("search:\n  alpha: 0.1\n")
    assert (await file.read()).search.alpha == 0.1

    (tmp_path / "agent.yaml").write_text("search:\n  alpha: 0.2\n")
    assert (await file.read()).search.alpha == 0.2

    (tmp_path / "agent.yaml").write_text("search:\n  alpha: 0.25\n")
    assert (await file.read()).search.alpha == 0.25


async def test_a_file_that_did_not_change_is_not_parsed_again(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("search:\n  alpha: 0.2\n")
    file = MemoryConfigFile(tmp_path)

    assert await file.read() is await file.read()
