"""Two recordings of legacy, at two clock bases and with two seeds, settled into one expectation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from native_routes import contract
from parity_tests.harness import corpus
from parity_tests.harness.noise import Settler
from parity_tests.harness.observation import Observation
from parity_tests.harness.rules import RuleBook, today
from parity_tests.harness.run import Run
from parity_tests.harness.scenario import Hear, Scenario
from parity_tests.harness.side import SideKind
from parity_tests.harness.tree import Number, Object

BASES: Final = (
    int(datetime(2026, 9, 14, 5, 6, 7, tzinfo=UTC).timestamp()),
    int(datetime(2027, 2, 21, 17, 44, 31, tzinfo=UTC).timestamp()),
)
SEEDS: Final = ("first", "second")


@dataclass(slots=True)
class Settled:
    """What legacy does in a scenario. `problems` is empty when it can be relied on."""

    recording: corpus.Recording
    problems: list[str] = field(default_factory=list)
    moved: int = 0  # fields that moved and have a form


def settle(scenario: Scenario, first: list[Observation], second: list[Observation]) -> Settled:
    """One expectation for each case, from two runs of legacy."""
    book = RuleBook(scenario.rules, candidate="legacy")
    settler = Settler(book)
    cases = {one.case: settler.settle(one, other) for one, other in zip(first, second, strict=True)}
    recording = corpus.Recording(scenario.name, corpus.binding(scenario), contract.VERSION, cases, titles(scenario))
    problems = [f"moves, and has no form: {text}" for text in settler.unstable]
    problems += [f"{one.case}: legacy gave no answer" for one in (*first, *second) if _is_unanswered(one)]
    problems += [f"{one.case}: more events follow than the scenario expects" for one in first if _goes_on(one)]
    problems += corpus.prose(recording, corpus.own_texts(scenario)) + book.problems(today())
    return Settled(recording, problems, settler.moved)


def titles(scenario: Scenario) -> dict[str, str]:
    """Case -> what it asks."""
    heard = [(step.number, step.title) for step in scenario.steps if isinstance(step, Hear)]
    asked = [(send.number, send.title) for send in scenario.sends()]
    return {f"{scenario.name}#{number}": title for number, title in asked + heard}


def _is_unanswered(seen: Observation) -> bool:
    return isinstance(seen.tree, Object) and seen.tree.get("status") == Number("0")


def _goes_on(seen: Observation) -> bool:
    return isinstance(seen.tree, Object) and seen.tree.get("silent_after") is False


def record(scenario: Scenario, legacy: SideKind) -> Settled:
    """Runs legacy twice under libfaketime. Raises what `Run.observe` and `Clock.environment` raise."""
    first, second = (
        Run(scenario, replace(legacy, seed=seed), base_s).observe() for seed, base_s in zip(SEEDS, BASES, strict=True)
    )
    return settle(scenario, first, second)
