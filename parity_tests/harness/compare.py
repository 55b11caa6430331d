"""Runs a candidate against expectations: from the corpus (replay) or from a legacy that runs now (live)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from parity_tests.harness import corpus
from parity_tests.harness.differ import Comparison, Differ, Difference
from parity_tests.harness.embedder import UnknownBehaviour
from parity_tests.harness.faketime import NoFaketime, has_faketime
from parity_tests.harness.names import UnknownName
from parity_tests.harness.native_terms import expected_of_native
from parity_tests.harness.observation import Observation
from parity_tests.harness.outcome import Outcome, ScenarioOutcome
from parity_tests.harness.record import BASES, Settled, settle, titles
from parity_tests.harness.rules import RuleBook, today
from parity_tests.harness.run import NO_ROUTE, Run, StepFailed
from parity_tests.harness.scenario import Scenario, behaviours_of
from parity_tests.harness.scope import left_out
from parity_tests.harness.side import SideError, SideKind
from parity_tests.harness.snapshot import CorruptIndex, UnclassedTable
from parity_tests.harness.sqlite import NeverStill, SQLError
from parity_tests.harness.tree import Object, Tree

CANNOT_RUN: Final = (
    StepFailed, SideError, CorruptIndex, UnclassedTable, NeverStill, SQLError, UnknownName, UnknownBehaviour,
    NoFaketime, corpus.CorpusError, OSError, KeyError, ValueError,
)  # fmt: skip
_SECOND_LATER_S: Final = 1.1  # so that times in whole seconds move between two runs on the real clock


def replay(scenario: Scenario, candidate: SideKind, folder: Path = corpus.CORPUS_PATH) -> ScenarioOutcome:
    """The candidate against what was recorded."""
    return _timed(
        scenario, candidate, lambda out: _check(scenario, candidate, corpus.read(scenario, folder).cases, out)
    )


def held_against(expected: Mapping[str, Tree], scenario: Scenario, candidate: SideKind) -> ScenarioOutcome:
    """The candidate against expectations that the caller has."""
    return _timed(scenario, candidate, lambda out: _check(scenario, candidate, expected, out))


def live(scenario: Scenario, legacy: SideKind, candidate: SideKind) -> ScenarioOutcome:
    """The candidate against a legacy that runs now, twice, so that what moves is known."""

    def compare(out: ScenarioOutcome) -> None:
        settled = settle_live(scenario, legacy)
        out.problems += settled.problems
        _check(scenario, candidate, settled.recording.cases, out, effects=legacy.owns_home)

    return _timed(scenario, candidate, compare)


def run_all(
    scenarios: Iterable[Scenario], one: Callable[[Scenario], ScenarioOutcome], legacy: str, candidate: str, jobs: int
) -> Outcome:
    """Every scenario, `jobs` at a time, the longest first; outcomes in the given order."""
    scenarios = list(scenarios)
    with ThreadPoolExecutor(jobs) as pool:
        running = {scenario.name: pool.submit(one, scenario) for scenario in sorted(scenarios, key=_cost, reverse=True)}
        return Outcome(legacy, candidate, [running[scenario.name].result() for scenario in scenarios])


def _cost(scenario: Scenario) -> int:
    """In requests: one that writes waits for stillness afterwards, and one that nobody answers for a deadline."""
    writes = sum(send.method != "GET" for send in scenario.sends())
    hangs = any(behaviour == "hang" for behaviour in behaviours_of(scenario))
    return len(scenario.sends()) + 5 * writes + 1000 * hangs


def _timed(scenario: Scenario, candidate: SideKind, compare: Callable[[ScenarioOutcome], None]) -> ScenarioOutcome:
    out = ScenarioOutcome(scenario.name, titles=titles(scenario))
    out.left_out = left_out(scenario, candidate.name)
    started = time.monotonic()
    if not out.left_out:
        try:
            compare(out)
        except CANNOT_RUN as error:
            out.problems.append(f"{type(error).__name__}: {error}")
    out.seconds = time.monotonic() - started
    return out


def settle_live(scenario: Scenario, legacy: SideKind) -> Settled:
    """Both runs on the dates of a recording where libfaketime is there, else now and some seconds later."""
    if legacy.owns_home and has_faketime():
        first, second = (Run(scenario, legacy, base_s).observe() for base_s in BASES)
        return settle(scenario, first, second)
    started = time.monotonic()
    first = Run(scenario, legacy).observe()
    time.sleep(max(0.0, _SECOND_LATER_S - (time.monotonic() - started)))
    return settle(scenario, first, Run(scenario, legacy).observe())


def _method(seen: Observation) -> str:
    return str(seen.request.get("method")) if isinstance(seen.request, Object) else ""


def answer_alone(tree: Tree) -> Tree:
    """A case without what it changed: of a side at a URL, rows and files cannot be seen."""
    return (
        Object(pair for pair in tree.pairs if pair[0] not in {"effects", "files"}) if isinstance(tree, Object) else tree
    )


def _check(
    scenario: Scenario,
    candidate: SideKind,
    expected: Mapping[str, Tree],
    out: ScenarioOutcome,
    *,
    effects: bool = True,
) -> None:
    effects = effects and candidate.owns_home
    book = RuleBook(scenario.rules, candidate=candidate.name)
    differ = Differ(book)
    asked_only: set[str] = set()
    for seen in Run(scenario, candidate).observe():
        if not effects:
            seen = replace(seen, tree=answer_alone(seen.tree))
        if candidate.name == "native" and seen.route.endswith(NO_ROUTE):
            asked_only.add(seen.case)  # legacy's to answer, and none is there
        elif seen.case in expected:
            wanted = expected[seen.case] if effects else answer_alone(expected[seen.case])
            if candidate.name == "native":
                wanted = expected_of_native(wanted, seen.tree, _method(seen))
            out.comparisons.append(differ.compare(wanted, seen))
        else:
            lost = Difference("", "(not recorded)", "", "the recording lacks this case")
            out.comparisons.append(Comparison(seen.case, seen.route, differences=[lost]))
    missing = set(expected) - {comparison.case for comparison in out.comparisons} - asked_only
    out.problems += [f"{case}: recorded, but the candidate was not asked" for case in sorted(missing)]
    out.problems += book.problems(today())
    if not out.answers:
        out.problems.append("no answer was compared")
