"""The agent's configuration file as the legacy daemon reads it, and who may call according to it.

Not YAML: a line-based subset of which legacy's own parser is the only definition. Everything here blocks on the disk.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from native_routes.javascript.primitives import trim

FILE_NAMES: Final = ("agent.yaml", "AGENT.yaml", "config.yaml")  # the first one that can be read is used alone
SECRET_BYTES: Final = 32  # what legacy creates

Mode = Literal["local", "hybrid", "team"]
_INTEGER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None, "~": None}


def parse(text: str) -> dict[str, Any]:
    """Nested mappings of text, numbers, booleans and None. Never fails; what it cannot read it leaves out.

    Legacy: parseSimpleYaml. Inline comments stay in the value, an empty value opens a section, quotes do not protect
    a value from becoming a number.
    """
    result: dict[str, Any] = {}
    open_sections: list[tuple[int, dict[str, Any]]] = [(-1, result)]
    for line in text.split("\n"):
        content = trim(line)
        if not content or content.startswith("#") or content in {"---", "..."}:
            continue
        indent = line.index(content)
        while open_sections[-1][0] >= indent:
            open_sections.pop()
        key, colon, value = content.partition(":")
        if not colon:
            continue
        key, value, section = trim(key), trim(value), open_sections[-1][1]
        if value in {"", "|"}:
            section[key] = {}
            open_sections.append((indent, section[key]))
        else:
            section[key] = "" if value.startswith("|") else _scalar(value)
    return result


def _scalar(text: str) -> Any:
    text = text[text[:1] in {"'", '"'} :]
    text = text[:-1] if text[-1:] in {"'", '"'} else text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        number = float(text)  # as every number of JavaScript: beyond 2**53 it rounds
        return int(number) if math.isfinite(number) else number
    return float(text) if _DECIMAL.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class ConfigFile:
    path: Path | None  # None = there is none
    values: Mapping[str, Any]
    problem: str | None  # a file that is there and says nothing


def read_config(home_path: Path) -> ConfigFile:
    """The configuration legacy would use: the first of FILE_NAMES that can be read. Raises nothing."""
    problem = None
    for name in FILE_NAMES:
        path = home_path / name
        try:
            text = path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            continue
        except OSError as error:
            problem = f"{path} cannot be read: {error.strerror}"
            continue
        values = parse(text)
        if not values:
            problem = problem or f"{path} holds no setting"
        return ConfigFile(path, values, problem)
    return ConfigFile(None, {}, problem)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `max` in a window that starts with the first request."""

    window_ms: float
    max: float


DEFAULT_LIMITS: Final[Mapping[str, Limit]] = {
    "forget": Limit(60_000, 30),
    "modify": Limit(60_000, 60),
    "batchForget": Limit(60_000, 5),
    "admin": Limit(60_000, 10),
}
FIXED_LIMITS: Final[Mapping[str, Limit]] = {"cross-agent-message": Limit(60_000, 120)}  # not configurable


@dataclass(frozen=True, slots=True)
class AuthPolicy:
    """The `auth` section as it was when the legacy daemon booted."""

    mode: Mode = "local"
    secret: bytes | None = field(default=None, repr=False)  # None: not created yet, empty or unreadable
    limits: Mapping[str, Limit] = field(default_factory=lambda: {**DEFAULT_LIMITS, **FIXED_LIMITS})
    default_token_ttl_s: float = 7 * 24 * 3600
    session_token_ttl_s: float = 24 * 3600
    problem: str | None = None  # what the operator wrote and did not get; the daemon is open when mode is local

    @classmethod
    def load(cls, home_path: Path) -> AuthPolicy:
        """The policy legacy would boot with; its silent fall back to local mode is reported in `problem`."""
        config = read_config(home_path)
        section = config.values.get("auth")
        values = section if isinstance(section, dict) else {}
        secret, secret_problem = _read_secret(home_path / ".daemon" / "auth-secret")
        mode = values.get("mode")
        policy = cls(
            mode=mode if mode in ("local", "hybrid", "team") else "local",
            secret=secret,
            limits=_limits(values.get("rateLimits")),
            default_token_ttl_s=_positive(values.get("defaultTokenTtlSeconds"), 7 * 24 * 3600),
            session_token_ttl_s=_positive(values.get("sessionTokenTtlSeconds"), 24 * 3600),
        )
        problem = config.problem or _section_problem(config, values)
        return replace(policy, problem=problem or (secret_problem if policy.mode != "local" else None))

    @classmethod
    def reload(cls, previous: AuthPolicy, home_path: Path) -> AuthPolicy:
        """The policy now, except that a broken or vanished file never opens a daemon that asked for tokens."""
        now = cls.load(home_path)
        if previous.mode == "local" or now.mode != "local":
            return now
        problem = now.problem
        if problem is None and read_config(home_path).path is None:
            problem = f"{home_path / FILE_NAMES[0]} is gone"
        if problem is None:
            return now
        return replace(previous, problem=f"{problem}; auth.mode {previous.mode} stays until it says otherwise")


def _section_problem(config: ConfigFile, values: Mapping[str, Any]) -> str | None:
    if "auth" not in config.values:
        return None
    if not isinstance(config.values["auth"], dict):
        return f"{config.path}: auth is {config.values['auth']!r}: expected a section with indented keys below it"
    mode = values.get("mode", "local")
    if mode not in ("local", "hybrid", "team"):
        hint = "; comments need a line of their own" if isinstance(mode, str) and "#" in mode else ""
        return f"{config.path}: auth.mode is {mode!r}: expected local, hybrid or team{hint}; it counts as local"
    return None


def _limits(section: Any) -> dict[str, Limit]:
    overrides = section if isinstance(section, dict) else {}
    limits = {name: _limit(overrides.get(name), default) for name, default in DEFAULT_LIMITS.items()}
    return {**limits, **FIXED_LIMITS}


def _limit(section: Any, default: Limit) -> Limit:
    values = section if isinstance(section, dict) else {}
    return Limit(_positive(values.get("windowMs"), default.window_ms), _positive(values.get("max"), default.max))


def _positive(value: Any, default: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else default


def _read_secret(path: Path) -> tuple[bytes | None, str | None]:
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        return None, None  # legacy creates it at its first boot in this mode
    except OSError as error:
        return None, f"{path} cannot be read: {error.strerror}"
    if not secret:
        return None, f"{path} is empty; anybody could sign tokens. Remove it, and a new one is made at the next start"
    if len(secret) < SECRET_BYTES:
        return secret, f"{path} has {len(secret)} bytes; expected at least {SECRET_BYTES}"
    return secret, None
