"""legacy_ts and the native groups answer and change what Signet 0.58.1 did when the corpus was recorded.

Scenarios mostly wait for stillness, so each test runs a handful at a time.
"""

from __future__ import annotations

import itertools
from typing import Final

import pytest

from parity_tests.harness import compare, report
from parity_tests.harness.corpus import CORPUS_PATH, path_of
from parity_tests.harness.scenario import Scenario
from parity_tests.harness.scenario_file import load_all
from parity_tests.harness.scope import left_out, native_groups
from parity_tests.harness.side import side_kind

AT_ONCE: Final = 4
IN_A_TEST: Final = 12
SCENARIOS = {name: scenario for name, scenario in load_all().items() if not scenario.live_only}


def folder_of(scenario: Scenario) -> str:
    return scenario.name.partition("/")[0]


def batches(candidate: str) -> list[tuple[str, list[Scenario]]]:
    """Scenarios that are for the candidate, a dozen of a folder together: "recall-2", with what it holds."""
    out = []
    wanted = [scenario for scenario in SCENARIOS.values() if not left_out(scenario, candidate)]
    for folder, found in itertools.groupby(wanted, folder_of):
        scenarios = list(found)
        for first in range(0, len(scenarios), IN_A_TEST):
            out.append((f"{folder}-{first // IN_A_TEST + 1}", scenarios[first : first + IN_A_TEST]))
    return out


CASES = [
    pytest.param(candidate, scenarios, id=f"{candidate}-{name}")
    for candidate in ("legacy_ts", "native")
    for name, scenarios in batches(candidate)
]


@pytest.mark.parametrize(("candidate", "scenarios"), CASES)
def test_the_candidate_holds_against_the_corpus(candidate: str, scenarios: list[Scenario]) -> None:
    side = side_kind(candidate)
    outcome = compare.run_all(scenarios, lambda one: compare.replay(one, side), "the corpus", candidate, AT_ONCE)
    assert len(outcome.scenarios) == len(scenarios)
    assert outcome.holds, "\n".join(report.failures(outcome))


def test_every_scenario_is_recorded_and_every_recording_has_its_scenario() -> None:
    recorded = {path.relative_to(CORPUS_PATH).with_suffix("").as_posix() for path in CORPUS_PATH.rglob("*.json")}
    assert recorded == set(SCENARIOS)
    assert all(path_of(name).stat().st_size < 2_000_000 for name in SCENARIOS)


def test_legacy_ts_is_asked_something_and_health_is_native() -> None:
    assert batches("legacy_ts")
    assert "health" in native_groups()
