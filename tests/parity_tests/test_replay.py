"""legacy_ts and the native groups answer and change what Signet 0.58.1 did when the corpus was recorded."""

from __future__ import annotations

import pytest

from parity_tests.harness import compare, report
from parity_tests.harness.corpus import CORPUS_PATH, path_of
from parity_tests.harness.outcome import Outcome
from parity_tests.harness.scenario import Scenario
from parity_tests.harness.scenario_file import load_all
from parity_tests.harness.scope import left_out, native_groups
from parity_tests.harness.side import side_kind

SCENARIOS = {name: scenario for name, scenario in load_all().items() if not scenario.live_only}
CASES = [
    pytest.param(candidate, scenario, id=f"{candidate}-{name}")
    for candidate in ("legacy_ts", "native")
    for name, scenario in SCENARIOS.items()
    if not left_out(scenario, candidate)
]


@pytest.mark.parametrize(("candidate", "scenario"), CASES)
def test_the_candidate_holds_against_the_corpus(candidate: str, scenario: Scenario) -> None:
    outcome = Outcome("the corpus", candidate, [compare.replay(scenario, side_kind(candidate))])
    assert outcome.holds, "\n".join(report.terminal(outcome))


def test_every_scenario_is_recorded_and_every_recording_has_its_scenario() -> None:
    recorded = {path.relative_to(CORPUS_PATH).with_suffix("").as_posix() for path in CORPUS_PATH.rglob("*.json")}
    assert recorded == set(SCENARIOS)
    assert all(path_of(name).stat().st_size < 2_000_000 for name in SCENARIOS)


def test_legacy_ts_is_asked_something_and_health_is_native() -> None:
    assert [scenario for scenario in SCENARIOS.values() if not left_out(scenario, "legacy_ts")]
    assert "health" in native_groups()
