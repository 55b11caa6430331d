"""Models that are known without asking anybody, by provider, and how an outdated one is told from its successor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

Model = dict[str, Any]
"""As JSON shows it: id, provider, label, tier, deprecated."""

_KNOWN: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "claude-code": (
        ("claude-opus-4-6", "Claude Opus 4.6", "high"),
        ("claude-sonnet-4-6", "Claude Sonnet 4.6", "mid"),
        ("claude-haiku-4-5", "Claude Haiku 4.5", "low"),
        ("claude-3-5-haiku-20241022", "Claude 3.5 Haiku", "low"),
    ),
    "anthropic": (
        ("claude-opus-4-6", "Claude Opus 4.6", "high"),
        ("claude-sonnet-4-6", "Claude Sonnet 4.6", "mid"),
        ("claude-haiku-4-5-20251001", "Claude Haiku 4.5", "low"),
        ("claude-3-5-haiku-20241022", "Claude 3.5 Haiku", "low"),
    ),
    "codex": (
        ("gpt-5.4", "GPT 5.4", "high"),
        ("gpt-5.3-codex", "GPT 5.3 Codex", "high"),
        ("gpt-5.3-codex-spark", "GPT 5.3 Codex Spark", "high"),
        ("gpt-5-codex", "GPT 5 Codex", "mid"),
        ("codex-mini-latest", "Codex Mini", "low"),
    ),
    "opencode": (
        ("anthropic/claude-opus-4-6", "Claude Opus 4.6", "high"),
        ("anthropic/claude-sonnet-4-6", "Claude Sonnet 4.6", "mid"),
        ("anthropic/claude-haiku-4-5-20251001", "Claude Haiku 4.5", "low"),
        ("google/gemini-2.5-flash", "Gemini 2.5 Flash", "low"),
    ),
    "ollama": (
        ("qwen3:4b", "Qwen3 4B", "low"),
        ("glm-4.7-flash", "GLM 4.7 Flash", "low"),
        ("llama3", "Llama 3", "low"),
    ),
}
_VERSION: Final = re.compile(r"([0-9]+)[.-]([0-9]+)")
_VERSION_PART: Final = re.compile(r"[-_]?[0-9]+(?:[.-][0-9]+)?")
_DASHES: Final = re.compile(r"--+")
_EDGE_DASH: Final = re.compile(r"\A-|-\Z")


def model(id: str, provider: str, label: str, tier: str = "low") -> Model:
    return {"id": id, "provider": provider, "label": label, "tier": tier, "deprecated": False}


def known_models() -> dict[str, list[Model]]:
    """Those of each provider, outdated ones marked."""
    return {provider: mark_deprecated(seeds(provider)) for provider in _KNOWN}


def seeds(provider: str) -> list[Model]:
    return [model(id, provider, label, tier) for id, label, tier in _KNOWN[provider]]


def mark_deprecated(models: Sequence[Model]) -> list[Model]:
    """Copies, with every model marked that has a lower version than the best of its family."""
    best: dict[str, float] = {}
    for one in models:
        version = _version(one["id"])
        if version is not None:
            family = _family(one["id"])
            best[family] = max(version, best.get(family, version))
    return [{**one, "deprecated": one["deprecated"] or _is_behind(one["id"], best)} for one in models]


def current(models: Sequence[Model]) -> list[Model]:
    return [one for one in models if not one["deprecated"]]


def _is_behind(id: str, best: Mapping[str, float]) -> bool:
    version = _version(id)
    return version is not None and version < best[_family(id)]


def _version(id: str) -> float | None:
    """The first pair of numbers, comparable: 4006 for claude-opus-4-6; None without one."""
    found = _VERSION.search(id)
    return None if found is None else float(found[1]) * 1000 + float(found[2])


def _family(id: str) -> str:
    """What is left without numbers: claude-opus."""
    return _EDGE_DASH.sub("", _DASHES.sub("-", _VERSION_PART.sub("", id)))
