"""The verdict on one scenario and on a whole run. Nothing compared is a failure, and so is every broken rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from parity_tests.harness.differ import Comparison


@dataclass(slots=True)
class ScenarioOutcome:
    """`problems` are failures that are no difference: a missing recording, a candidate that does not start, a rule."""

    scenario: str
    comparisons: list[Comparison] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: str = ""  # why the scenario is not for this candidate; then nothing else is set
    seconds: float = 0.0
    titles: Mapping[str, str] = field(default_factory=dict)  # case -> its request

    def title(self, case: str) -> str:
        return self.titles.get(case, "what is left at the end")

    @property
    def answers(self) -> list[Comparison]:
        """Comparisons of answers; the end of a scenario is none."""
        return [comparison for comparison in self.comparisons if comparison.route != "end"]

    @property
    def differences(self) -> int:
        return sum(len(comparison.differences) for comparison in self.comparisons)

    @property
    def holds(self) -> bool:
        return not self.differences and not self.problems


@dataclass(slots=True)
class Outcome:
    """A run: which sides, and every scenario's verdict."""

    legacy: str
    candidate: str
    scenarios: list[ScenarioOutcome] = field(default_factory=list)

    @property
    def comparisons(self) -> int:
        return sum(len(scenario.answers) for scenario in self.scenarios)

    @property
    def differences(self) -> int:
        return sum(scenario.differences for scenario in self.scenarios)

    def problems(self) -> list[str]:
        out = [f"{scenario.scenario}: {problem}" for scenario in self.scenarios for problem in scenario.problems]
        if self.comparisons == 0:
            out.append("nothing was compared: that proves nothing")
        return out

    @property
    def holds(self) -> bool:
        return not self.differences and not self.problems()

    def bound(self) -> float:
        """95 % upper bound on the share of answers that differ, when none did: the rule of three."""
        return 3 / self.comparisons if self.comparisons else 1.0

    def for_scenarios(self, names: Iterable[str]) -> Outcome:
        wanted = set(names)
        return Outcome(self.legacy, self.candidate, [one for one in self.scenarios if one.scenario in wanted])
