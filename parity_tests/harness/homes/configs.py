"""Named agent.yaml texts. Quiet means: no provider, no worker, nothing that changes rows behind a scenario's back."""

from __future__ import annotations

from typing import Final

_QUIET_PIPELINE: Final = """\
memory:
  pipelineV2:
    enabled: false
    predictor:
      enabled: false
    procedural:
      enabled: false
    structural:
      enabled: false
    modelRegistry:
      enabled: false
    synthesis:
      enabled: false
    embeddingTracker:
      enabled: false
"""
_NO_EMBEDDER: Final = "configVersion: 99\nembedding:\n  provider: none\n"
_OLLAMA: Final = (
    "configVersion: 99\nembedding:\n  provider: ollama\n  model: parity\n  dimensions: 768\n  base_url: ${embedder}\n"
)
_OPENAI: Final = (
    "configVersion: 99\nembedding:\n  provider: openai\n  model: parity\n  dimensions: 768\n"
    "  base_url: ${embedder}/v1\n  api_key: parity-key\n"
)
_LIMITS: Final = "".join(
    f"    {name}:\n      max: 100000\n" for name in ("admin", "modify", "forget", "batchForget", "recallLlm")
)
_TEAM: Final = "auth:\n  mode: team\n  rateLimits:\n" + _LIMITS
_HYBRID: Final = _TEAM.replace("team", "hybrid")
_NO_RERANKER: Final = "    reranker:\n      enabled: false\n"

CONFIGS: Final = {
    "quiet": _NO_EMBEDDER + _QUIET_PIPELINE,
    "ollama": _OLLAMA + _QUIET_PIPELINE,
    "openai": _OPENAI + _QUIET_PIPELINE,
    "no-reranker": _NO_EMBEDDER + _QUIET_PIPELINE + _NO_RERANKER,
    "ollama-no-reranker": _OLLAMA + _QUIET_PIPELINE + _NO_RERANKER,
    "team": _NO_EMBEDDER + _TEAM + _QUIET_PIPELINE,
    "hybrid": _NO_EMBEDDER + _HYBRID + _QUIET_PIPELINE,
    "frozen": _NO_EMBEDDER + _QUIET_PIPELINE + "    mutationsFrozen: true\n",
}


def config_text(given: str) -> str:
    """The text of a named config, or the text itself when it is more than a name."""
    return CONFIGS.get(given, given)
