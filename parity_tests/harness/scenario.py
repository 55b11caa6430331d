"""A scenario: a home, what stands around it, and ordered steps. `scenario_file.py` reads it, `run.py` runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from parity_tests.harness.rules import Rule
from parity_tests.harness.tree import Path

Headers: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Send:
    """One request whose answer is a case. Texts may hold ${names}: kept values, tokens, times."""

    number: int  # of the case, from 1
    title: str  # "POST /api/memory/remember" as written, and what `as` adds
    method: str
    target: str
    headers: Headers = ()
    body: bytes | None = None  # before ${names} are filled in; None = no body and no Content-Length
    keep: Mapping[str, str] = field(default_factory=dict)  # name -> JSON pointer into the answer
    events: int | None = None  # read that many server-sent events, then close
    digests: tuple[Path, ...] = ()  # paths whose text is reduced to digest and length
    host: str | None = None  # instead of the side's own address; "" = send no Host


@dataclass(frozen=True, slots=True)
class Together:
    """Requests sent at once, each on a connection of its own. Their answers are compared in sorted order."""

    sends: tuple[Send, ...]


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Ask until the answer holds the value. Not a case."""

    method: str
    target: str
    pointer: str
    equals: Any
    within_s: float = 10.0
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Listen:
    """Open a stream of server-sent events and go on."""

    name: str
    method: str
    target: str
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Hear:
    """Close the stream after its n-th event, and see that no other follows; the events are a case."""

    number: int
    name: str
    events: int
    title: str
    within_s: float = 5.0
    route_target: str = ""
    route_method: str = "GET"


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write or remove (text None) a file of the home, or link it, as a person would while the daemon runs."""

    path: str
    text: str | None
    link_to: str | None = None


@dataclass(frozen=True, slots=True)
class SetEmbedder:
    behaviour: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Stop the side in order and start it again on the same home."""


Step: TypeAlias = Send | Together | WaitFor | Listen | Hear | WriteFile | SetEmbedder | Restart


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str  # "memories/list": its folder and file
    about: str
    home: str
    steps: tuple[Step, ...]
    rules: tuple[Rule, ...]
    digest: str  # of the scenario's text
    config: str | None = None  # agent.yaml instead of the home's
    config_extra: str = ""  # lines appended to agent.yaml
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    seed: str = ""  # SQL run on the home before the side starts
    embedder: str = "ok"
    quiet_ms: int = 50  # how long the database must be still before it is read
    live_only: bool = False  # too many cases for the corpus
    not_for: Mapping[str, str] = field(default_factory=dict)  # candidate -> reason

    def sends(self) -> tuple[Send, ...]:
        out: list[Send] = []
        for step in self.steps:
            out += step.sends if isinstance(step, Together) else (step,) if isinstance(step, Send) else ()
        return tuple(out)


def behaviours_of(scenario: Scenario) -> set[str]:
    """Of the model server, in the course of the scenario."""
    return {scenario.embedder} | {step.behaviour for step in scenario.steps if isinstance(step, SetEmbedder)}
