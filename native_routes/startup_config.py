"""What a daemon takes from its configuration when it starts and keeps until it ends: an edit counts at the next start.

Feature flags, how to update, and which model providers it found. Who may call is `agent_yaml.AuthPolicy`.
"""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from native_routes.agent_yaml import FILE_NAMES, parse, read_config
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import parse_int, stringify
from native_routes.javascript.values import shown
from native_routes.kept_state import kept
from native_routes.pipeline_config import look_up, read_pipeline
from native_routes.reader import Reader

OWN_FILES: Final = FILE_NAMES[:2]  # flags and updates are not looked for in config.yaml
CHECK_INTERVALS_S: Final = (300, 604_800)
COMMANDS: Final[Mapping[str, str]] = {"claude-code": "claude", "codex": "codex"}
FALLBACK: Final = "ollama"
_WORDS: Final[Mapping[str, bool]] = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    auto_install: bool = False
    check_interval_s: int = 21_600


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """Who does a work of the pipeline: as written, as understood, and who is really there. None: nobody."""

    configured: str | None = None
    resolved: str | None = None
    effective: str | None = None


@dataclass(frozen=True, slots=True)
class StartupConfig:
    features: Mapping[str, bool] = field(default_factory=dict)
    updates: UpdateSettings = UpdateSettings()
    extraction: ProviderChoice = ProviderChoice()
    synthesis: ProviderChoice = ProviderChoice()
    pipeline: Mapping[str, Any] = field(default_factory=lambda: read_pipeline(None))  # the whole section, as it was

    @classmethod
    def load(cls, home_path: Path, environment: Mapping[str, str]) -> StartupConfig:
        """The configuration now. Blocks on the disk; raises nothing."""
        pipeline = read_pipeline(look_up(read_config(home_path).values, "memory.pipelineV2"))
        extraction, synthesis = pipeline["extraction"]["provider"], pipeline["synthesis"]["provider"]
        named = [_named_providers(values) for values in _files(home_path, FILE_NAMES)]
        return cls(
            features=_features(home_path),
            updates=_updates(home_path),
            extraction=ProviderChoice(_first(named, 0), extraction, _effective(extraction, environment)),
            synthesis=ProviderChoice(_first(named, 1), synthesis, _effective(synthesis, environment))
            if pipeline["synthesis"]["enabled"]
            else ProviderChoice(_first(named, 1)),
            pipeline=pipeline,
        )


class _Kept:
    def __init__(self) -> None:
        self.config: StartupConfig | None = None
        self.pid: int | None = None


async def read_at_start(
    owner: Reader, home_path: Path, environment: Mapping[str, str], pid: int | None = None
) -> StartupConfig:
    """Read the configuration, which counts until the next start; to be called whenever a daemon may have started.

    For the same `pid` it is read once, however often that process was slow and came back; without one, at each call.
    """
    state = kept(owner, _Kept)
    if state.config is not None and pid is not None and pid == state.pid:
        return state.config
    state.pid = pid if pid is not None else state.pid
    state.config = await asyncio.to_thread(StartupConfig.load, home_path, environment)
    return state.config


async def startup_config(owner: Reader, home_path: Path, environment: Mapping[str, str]) -> StartupConfig:
    """What was read at the start; read now, when nobody did then."""
    return kept(owner, _Kept).config or await read_at_start(owner, home_path, environment)


def _files(home_path: Path, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for name in names:
        try:
            yield parse((home_path / name).read_bytes().decode(errors="replace"))
        except OSError:
            continue


def _features(home_path: Path) -> dict[str, bool]:
    """The flags of the first file that has a section for them; a value that is no boolean is none."""
    sections = (values.get("features") for values in _files(home_path, OWN_FILES))
    section = next((found for found in sections if isinstance(found, Mapping)), {})
    flags = {name: flag for name, value in section.items() if (flag := _flag(value)) is not None}
    flags.pop("__proto__", None)  # JavaScript does not keep it as a key
    ordered: dict[str, bool] = parse_json(stringify(flags))  # keys in JavaScript's order
    return ordered


def _updates(home_path: Path) -> UpdateSettings:
    values = next(_files(home_path, OWN_FILES), {})
    section = values.get("updates") or values.get("update")
    auto_install = _flag(_either(section, "autoInstall", "auto_install"))
    interval = parse_int(shown(_either(section, "checkInterval", "check_interval")))
    least, most = CHECK_INTERVALS_S
    return UpdateSettings(
        auto_install or False,
        int(interval) if math.isfinite(interval) and least <= interval <= most else UpdateSettings().check_interval_s,
    )


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return _WORDS.get(value) if isinstance(value, str) else None


def _either(section: Any, name: str, other: str) -> Any:
    value = look_up(section, name)
    return look_up(section, other) if value is None else value


def _named_providers(values: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """For extraction and for synthesis: what one file says, whether or not there is such a provider."""
    pipeline = look_up(values, "memory.pipelineV2")
    flat, nested = look_up(pipeline, "extractionProvider"), look_up(pipeline, "extraction.provider")
    extraction = flat if isinstance(flat, str) else nested
    synthesis = look_up(pipeline, "synthesis.provider")
    return (
        extraction if isinstance(extraction, str) else None,
        synthesis if isinstance(synthesis, str) else None,
    )


def _first(named: list[tuple[str | None, str | None]], which: int) -> str | None:
    return next((found[which] for found in named if found[which] is not None), None)


def _effective(provider: str, environment: Mapping[str, str]) -> str:
    """The provider, or Ollama where its command or its key is missing: what legacy finds, as far as looking tells.

    Legacy starts the command and may find the key among its secrets; what it found is borrowed where it can be.
    """
    command = COMMANDS.get(provider)
    if command is not None and shutil.which(command, path=environment.get("PATH", "")) is None:
        return FALLBACK
    return FALLBACK if provider == "anthropic" and not environment.get("ANTHROPIC_API_KEY") else provider
