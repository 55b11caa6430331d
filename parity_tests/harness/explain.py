"""The first difference of a case, cut down to where the two texts part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parity_tests.harness import tree
from parity_tests.harness.differ import Comparison, Difference
from parity_tests.harness.outcome import ScenarioOutcome

_AROUND_CHARS: Final = 40


def explain(outcome: ScenarioOutcome, case: str) -> Iterator[str]:
    """Request, field, and both sides around the first place where they part; that the case holds when it does."""
    found = [comparison for comparison in outcome.comparisons if comparison.case == case]
    yield from outcome.problems
    if not found:
        known = ", ".join(comparison.case.rpartition("#")[2] for comparison in outcome.comparisons)
        yield f"{case} was not compared; {outcome.left_out or f'cases are {known}'}"
        return
    comparison = found[0]
    yield f"{case} {outcome.title(case)}"
    yield tree.pretty(comparison.request)
    if not comparison.differences:
        yield f"holds: {sum(comparison.fields.values())} fields compared"
        return
    yield from _first(comparison, comparison.differences[0])


def _first(comparison: Comparison, first: Difference) -> Iterator[str]:
    yield f"first of {len(comparison.differences)} differences: {first.path}{f' ({first.why})' if first.why else ''}"
    expected, got = around(first.expected, first.got)
    yield f"  expected {expected}"
    yield f"  got      {got}"


def around(expected: str, got: str) -> tuple[str, str]:
    """Both texts without what they share at their start and end, but for some characters."""
    start = _shared(expected, got)
    end = _shared(expected[start:][::-1], got[start:][::-1])
    return _cut(expected, start, end), _cut(got, start, end)


def _shared(one: str, other: str) -> int:
    """How many characters both start with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _cut(text: str, start: int, end: int) -> str:
    first, last = max(0, start - _AROUND_CHARS), min(len(text), len(text) - end + _AROUND_CHARS)
    return f"{'...' if first else ''}{text[first:last]}{'...' if last < len(text) else ''}"
