"""The harness finds every fault that is planted in a good candidate, and none where none is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from parity_tests.harness import compare
from parity_tests.harness.outcome import ScenarioOutcome
from parity_tests.harness.record import Settled
from parity_tests.harness.scenario import Scenario
from parity_tests.harness.scenario_file import load
from parity_tests.harness.side import side_kind
from tests.parity_tests.answer_faults import ANSWER_FAULTS
from tests.parity_tests.effect_faults import EFFECT_FAULTS
from tests.parity_tests.faulty_front import Fault, Front

FOLDER = Path(__file__).with_name("fault_scenarios")
FOUND_WHILE_LOOKING = ("CorruptIndex: ", "UnclassedTable: ", "StepFailed: stream#3: 3 events were expected")
FAULTS = (*ANSWER_FAULTS, *EFFECT_FAULTS)


@cache
def scenario(name: str) -> Scenario:
    return load(FOLDER / f"{name}.yaml", FOLDER)


@cache
def settled(name: str) -> Settled:
    """What legacy_ts does, from two runs of it."""
    return compare.settle_live(scenario(name), side_kind("legacy_ts"))


def judged(name: str, fault: Fault | None) -> tuple[ScenarioOutcome, Front]:
    front = Front(fault)
    candidate = replace(side_kind("legacy_ts"), front=front.before)
    return compare.held_against(settled(name).recording.cases, scenario(name), candidate), front


@pytest.mark.parametrize("name", ["memory", "stream", "token"])
def test_a_good_candidate_behind_the_front_has_no_difference(name: str) -> None:
    assert settled(name).problems == []
    outcome, _ = judged(name, None)
    assert outcome.holds, (outcome.problems, [one.differences for one in outcome.comparisons if one.differences])
    assert outcome.answers


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_caught(fault: Fault) -> None:
    outcome, front = judged(fault.scenario, fault)
    assert front.planted == 1, "the fault was never planted"
    reasons = [problem for problem in outcome.problems if problem.startswith(FOUND_WHILE_LOOKING)]
    assert outcome.differences or reasons, outcome.problems


def test_there_are_at_least_twenty_five_faults_with_names_of_their_own() -> None:
    names = {fault.name for fault in FAULTS}
    assert len(names) == len(FAULTS) >= 25
