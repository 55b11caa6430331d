"""Reads scenarios from YAML. Every mistake is named with its file, before anything is started."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from parity_tests.harness.rules import RuleError, parse_rules
from parity_tests.harness.scenario import (
    Headers,
    Hear,
    Listen,
    Restart,
    Scenario,
    Send,
    SetEmbedder,
    Step,
    Together,
    WaitFor,
    WriteFile,
)

SCENARIOS_PATH: Final = Path(__file__).resolve().parents[1] / "scenarios"
USUAL_SEED: Final = 1
_NAME = re.compile(r"\$\{(\w+)\}")
_TOP = frozenset(
    {
        "about",
        "home",
        "config",
        "config_extra",
        "environment",
        "files",
        "seed",
        "embedder",
        "quiet_ms",
        "not_for",
        "live_only",
    }
    | {"steps", "rules"}
)
_SEND = frozenset({"send", "as", "headers", "token", "json", "body", "base64", "keep", "events", "host", "each"})


class ScenarioError(Exception):
    """A scenario file cannot be used; the message names the file, the step and what is wrong."""


def names_in(folder: Path = SCENARIOS_PATH) -> list[str]:
    """Every scenario's name, sorted."""
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def load_all(folder: Path = SCENARIOS_PATH) -> dict[str, Scenario]:
    """Every scenario by name, sorted. Raises ScenarioError."""
    return {name: load(folder / f"{name}.yaml", folder) for name in names_in(folder)}


def load(path: Path, folder: Path = SCENARIOS_PATH, seed: int = USUAL_SEED) -> Scenario:
    """`seed` chooses what `sample` takes where nothing is recorded (live_only). Raises ScenarioError."""
    name = path.relative_to(folder).with_suffix("").as_posix()
    text = path.read_text()
    try:
        data = yaml.safe_load(text)
        chosen = seed if data.get("live_only") else USUAL_SEED
        return _Reader(name, data, hashlib.sha256(text.encode()).hexdigest()[:16], chosen).scenario()
    except (yaml.YAMLError, RuleError, ScenarioError, KeyError, TypeError, ValueError) as error:
        kind = "" if isinstance(error, ScenarioError | RuleError) else f"{type(error).__name__}: "
        raise ScenarioError(f"{path.name} ({name}): {kind}{error}") from error


class _Reader:
    def __init__(self, name: str, data: Mapping[str, Any], digest: str, seed: int) -> None:
        _known(data, _TOP, "scenario")
        self._name, self._data, self._digest, self._seed = name, data, digest, seed
        self._cases = itertools.count(1)
        self._streams: dict[str, Listen] = {}

    def scenario(self) -> Scenario:
        data = self._data
        steps = tuple(step for item in data["steps"] for step in self._steps(item))
        return Scenario(
            name=self._name,
            about=data["about"],
            home=data["home"],
            steps=steps,
            rules=parse_rules(data.get("rules", ())),
            digest=self._digest,
            config=data.get("config"),
            config_extra=data.get("config_extra", ""),
            environment={key: str(value) for key, value in data.get("environment", {}).items()},
            files=data.get("files", {}),
            seed=data.get("seed", ""),
            embedder=data.get("embedder", "ok"),
            quiet_ms=int(data.get("quiet_ms", 50)),
            live_only=bool(data.get("live_only", False)),
            not_for=data.get("not_for", {}),
        )

    def _steps(self, item: Mapping[str, Any]) -> Iterator[Step]:
        if "steps" in item:
            _known(item, frozenset({"steps", "each"}), "steps")
            for values in self._rows(item):
                yield from (step for one in _filled(item["steps"], values) for step in self._steps(one))
        elif "send" in item:
            _known(item, _SEND, "send")
            yield from self._sends(item)
        elif "together" in item:
            yield Together(tuple(send for entry in item["together"] for send in self._sends(entry)))
        elif "wait_for" in item:
            yield self._wait(item)
        elif "listen" in item:
            yield self._listen(item)
        elif "hear" in item:
            stream = self._streams[item["hear"]]
            title = f"events of {stream.method} {stream.target}"
            _known(item, frozenset({"hear", "events", "within_s"}), "hear")
            within_s = float(item.get("within_s", 5))
            yield Hear(
                next(self._cases), stream.name, int(item["events"]), title, within_s, stream.target, stream.method
            )
        else:
            yield _small_step(item)

    def _sends(self, item: Mapping[str, Any]) -> Iterator[Send]:
        rest = {key: value for key, value in item.items() if key != "each"}
        for values in self._rows(item):
            yield self._send(_filled(rest, values), values)

    def _rows(self, item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """What `each` gives, one row for each time. A row too few would be a case that nobody misses."""
        told = str(item.get("send", "steps"))
        rows = _each(item.get("each"), self._seed)
        if not rows:
            raise ScenarioError(f"{told}: `each` names no case")
        rest = repr({key: value for key, value in item.items() if key != "each"})
        if unused := sorted({name for row in rows for name in row if f"${{{name}}}" not in rest}):
            raise ScenarioError(f"{told}: `each` gives {', '.join(unused)}, which the step does not use")
        return rows

    def _send(self, item: Mapping[str, Any], values: Mapping[str, Any]) -> Send:
        method, target = _line(item["send"])
        told = item.get("as") or ", ".join(f"{key}={_short(value)}" for key, value in values.items())
        return Send(
            number=next(self._cases),
            title=f"{method} {target}" + (f" ({told})" if told else ""),
            method=method,
            target=target,
            headers=_headers(item),
            body=_body(item),
            keep=item.get("keep", {}),
            events=item.get("events"),
            host=item.get("host"),
        )

    def _wait(self, item: Mapping[str, Any]) -> WaitFor:
        _known(item, frozenset({"wait_for", "until", "within_s", "headers", "token"}), "wait_for")
        method, target = _line(item["wait_for"])
        until = item["until"]
        return WaitFor(method, target, until["pointer"], until["equals"], item.get("within_s", 10), _headers(item))

    def _listen(self, item: Mapping[str, Any]) -> Listen:
        _known(item, frozenset({"listen", "name", "headers", "token"}), "listen")
        method, target = _line(item["listen"])
        stream = Listen(item["name"], method, target, _headers(item))
        self._streams[stream.name] = stream
        return stream


def _small_step(item: Mapping[str, Any]) -> Step:
    if set(item) == {"config"}:
        return WriteFile("agent.yaml", item["config"])
    if set(item) == {"write_file", "text"}:
        return WriteFile(item["write_file"], item["text"])
    if set(item) == {"write_file", "link_to"}:
        return WriteFile(item["write_file"], None, item["link_to"])
    if set(item) == {"embedder"}:
        return SetEmbedder(item["embedder"])
    if set(item) == {"restart"}:
        return Restart()
    raise ScenarioError(f"step {item}: expected send, together, wait_for, listen, hear, config, write_file, embedder")


def _known(data: Mapping[str, Any], names: frozenset[str], what: str) -> None:
    if unknown := set(data) - names:
        raise ScenarioError(f"{what} {data.get(what, '')}: unknown {sorted(unknown)}; known are {sorted(names)}")


def _line(text: str) -> tuple[str, str]:
    method, _, target = text.partition(" ")
    if not target:
        raise ScenarioError(f"{text!r}: expected a method and a target, GET /health")
    return method, target


def _headers(item: Mapping[str, Any]) -> Headers:
    given = item.get("headers") or {}
    pairs = given.items() if isinstance(given, dict) else given
    headers = [(str(name), str(value)) for name, value in pairs]
    if item.get("token") not in (None, "none"):
        headers.append(("Authorization", f"Bearer ${{token.{item['token']}}}"))
    if "json" in item and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return tuple(headers)


def _body(item: Mapping[str, Any]) -> bytes | None:
    given = {"json", "body", "base64"} & set(item)
    if len(given) > 1:
        raise ScenarioError(f"{item['send']}: one of json, body, base64, not {sorted(given)}")
    if "json" in item:
        return json.dumps(item["json"], ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if "base64" in item:
        return base64.b64decode(item["base64"])
    return str(item["body"]).encode("utf-8", "surrogatepass") if "body" in item else None


def _each(given: Any, seed: int) -> list[Mapping[str, Any]]:
    """`{name: [values]}` (all combinations, or `sample` of them) or a list of `{name: value}`."""
    if given is None:
        return [{}]
    if isinstance(given, list):
        return given
    given = dict(given)
    sample = given.pop("sample", None)
    total = math.prod(len(values) for values in given.values())
    if sample is None:
        return [_combination(given, place) for place in range(total)]
    if sample > total:
        raise ScenarioError(f"`each` has {total} combinations, of which {sample} cannot be taken")
    return [_combination(given, place) for place in random.Random(seed).sample(range(total), sample)]


def _combination(given: Mapping[str, Any], place: int) -> Mapping[str, Any]:
    """The place-th of all combinations, the last name's values changing fastest."""
    row: dict[str, Any] = {}
    for name in reversed(list(given)):
        place, at = divmod(place, len(given[name]))
        row[name] = given[name][at]
    return {name: row[name] for name in given}


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """A text that is one ${name} becomes the value with its type; inside a longer text it is written out."""
    if isinstance(value, str):
        whole = value[2:-1] if value.startswith("${") and value.endswith("}") else ""
        if whole in values:
            return values[whole]
        return _NAME.sub(lambda found: _written(values[found[1]]) if found[1] in values else found[0], value)
    if isinstance(value, dict):
        return {_filled(key, values): _filled(item, values) for key, item in value.items()}
    return [_filled(item, values) for item in value] if isinstance(value, list) else value


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(value: Any) -> str:
    text = _written(value)
    return text if len(text) <= 40 else f"{text[:30]}... {len(text)} characters"
