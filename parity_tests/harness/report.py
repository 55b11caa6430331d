"""A run's outcome for people at a terminal, for programs (JSON), and for continuous integration (JUnit)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from xml.etree import ElementTree

from parity_tests.harness.differ import Comparison, Difference, Verdict
from parity_tests.harness.outcome import Outcome, ScenarioOutcome

_SHOWN_CHARS: Final = 400
_BRIEF_CHARS: Final = 60
_SHOWN_DIFFERENCES: Final = 4


def terminal(outcome: Outcome) -> Iterator[str]:
    """Line by line; the last line is the verdict."""
    for scenario in outcome.scenarios:
        if scenario.left_out:
            yield f"  -  {scenario.scenario}: left out, {scenario.left_out}"
            continue
        mark = "ok  " if scenario.holds else "FAIL"
        yield f"{mark} {scenario.scenario}: {len(scenario.answers)} answers, {scenario.seconds:.1f} s"
        for comparison in scenario.comparisons:
            yield from _case_lines(scenario, comparison)
    for problem in outcome.problems():
        yield f"FAIL {problem}"
    yield verdict(outcome)


def failures(outcome: Outcome) -> Iterator[str]:
    """As `terminal`, without what holds or was left out."""
    for line in terminal(outcome):
        if not line.startswith(("ok  ", "  -  ")):
            yield line


def brief(outcome: Outcome) -> Iterator[str]:
    """One line for each case that differs: on one page of a terminal, what is wrong with a group."""
    for scenario in outcome.scenarios:
        for comparison in filter(lambda one: one.differences, scenario.comparisons):
            first = comparison.differences[0]
            more = f" +{len(comparison.differences) - 1}" if len(comparison.differences) > 1 else ""
            expected, got = (_cut(text) for text in (first.expected, first.got))
            where = first.path or "(all of it)"
            yield f"{comparison.case} {_cut(scenario.title(comparison.case))}: {where}{more}: {expected} | {got}"
    for problem in outcome.problems():
        yield f"FAIL {problem.splitlines()[0]}"
    yield verdict(outcome)


def _cut(text: str) -> str:
    return text if len(text) <= _BRIEF_CHARS else f"{text[:_BRIEF_CHARS]}..."


def _case_lines(scenario: ScenarioOutcome, comparison: Comparison) -> Iterator[str]:
    if comparison.differences:
        yield f"     {comparison.case} {scenario.title(comparison.case)}"
    for difference in comparison.differences[:_SHOWN_DIFFERENCES]:
        yield f"       {difference.path or '(all of it)'}{f': {difference.why}' if difference.why else ''}"
        yield f"         expected {_short(difference.expected)}"
        yield f"         got      {_short(difference.got)}"
    if (more := len(comparison.differences) - _SHOWN_DIFFERENCES) > 0:
        yield f"       and {more} more"


def verdict(outcome: Outcome) -> str:
    """How much was compared and what it shows, on one line."""
    fields = field_counts(outcome)
    told = ", ".join(f"{count:,} {name}" for name, count in fields.items() if count and name != Verdict.DIFFERS)
    compared = f"{outcome.comparisons:,} answers of {outcome.candidate} compared with {outcome.legacy} ({told} fields)"
    if "http://" in outcome.candidate + outcome.legacy:
        compared += ", rows and files not seen"
    if outcome.holds:
        return f"PARITY: {compared}, no difference; 95 % bound {outcome.bound():.2%}"
    return f"NO PARITY: {compared}, {outcome.differences} differences, {len(outcome.problems())} problems"


def field_counts(outcome: Outcome) -> dict[Verdict, int]:
    comparisons = [comparison for scenario in outcome.scenarios for comparison in scenario.comparisons]
    return {verdict: sum(comparison.fields[verdict] for comparison in comparisons) for verdict in Verdict}


def as_json(outcome: Outcome) -> str:
    return json.dumps(_data(outcome), indent=1, ensure_ascii=False) + "\n"


def _data(outcome: Outcome) -> dict[str, Any]:
    return {
        "legacy": outcome.legacy,
        "candidate": outcome.candidate,
        "holds": outcome.holds,
        "comparisons": outcome.comparisons,
        "differences": outcome.differences,
        "bound_95": outcome.bound(),
        "fields": {verdict.value: count for verdict, count in field_counts(outcome).items()},
        "problems": outcome.problems(),
        "scenarios": [_scenario_data(scenario) for scenario in outcome.scenarios],
    }


def _scenario_data(scenario: ScenarioOutcome) -> dict[str, Any]:
    if scenario.left_out:
        return {"scenario": scenario.scenario, "left_out": scenario.left_out}
    return {
        "scenario": scenario.scenario,
        "holds": scenario.holds,
        "answers": len(scenario.answers),
        "seconds": round(scenario.seconds, 3),
        "differences": [
            {"case": comparison.case, "route": comparison.route, **_difference_data(difference)}
            for comparison in scenario.comparisons
            for difference in comparison.differences
        ],
    }


def _difference_data(difference: Difference) -> dict[str, str]:
    return {"path": difference.path, "expected": difference.expected, "got": difference.got, "why": difference.why}


def as_junit(outcome: Outcome) -> str:
    """One suite for each scenario, one test for each case; problems are tests of their own."""
    root = ElementTree.Element("testsuites", name=f"parity of {outcome.candidate} with {outcome.legacy}")
    for scenario in outcome.scenarios:
        suite = ElementTree.SubElement(root, "testsuite", name=scenario.scenario, time=f"{scenario.seconds:.3f}")
        if scenario.left_out:
            test = ElementTree.SubElement(suite, "testcase", classname=scenario.scenario, name="left out")
            ElementTree.SubElement(test, "skipped", message=scenario.left_out)
        for comparison in scenario.comparisons:
            name = f"{comparison.case} {scenario.title(comparison.case)}"
            test = ElementTree.SubElement(suite, "testcase", classname=scenario.scenario, name=name)
            if comparison.differences:
                first = comparison.differences[0]
                failure = ElementTree.SubElement(test, "failure", message=f"{first.path} differs")
                failure.text = _printable("\n".join(_case_lines(scenario, comparison)))
    _problem_suite(root, outcome)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _problem_suite(root: ElementTree.Element, outcome: Outcome) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name="discipline")
    for problem in outcome.problems():
        test = ElementTree.SubElement(suite, "testcase", classname="discipline", name=_printable(problem[:120]))
        ElementTree.SubElement(test, "failure", message=_printable(problem))


def _printable(text: str) -> str:
    """XML has no place for control characters and lone surrogates."""
    return "".join(c if c in "\n\t" or (c >= " " and not "\ud800" <= c <= "\udfff") else "\ufffd" for c in text)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}... {len(text)} characters"
