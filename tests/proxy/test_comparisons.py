"""Numbers of comparisons, what is shown of a request, and which routes are never compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from native_routes import GROUPS
from proxy.comparisons import Comparison, Tally, Verdict, shown_target
from proxy.declared_differences import BY_DESIGN, NOT_COMPARED
from proxy.legacy import stand_in
from proxy.native_run import READING_POSTS, ROWS_ONLY

DECLARED = {f"{route.method} {route.path}" for group in GROUPS for route in group.routes}
ROOT = Path(__file__).resolve().parents[2]


def tally(*verdicts: Verdict) -> Tally:
    found = Tally()
    for verdict in verdicts:
        found.count(Comparison("memories", "GET /api/memories", "/api/memories", verdict, "why"))
    return found


def test_three_hundred_equal_ones_bound_the_share_that_differs_to_one_in_a_hundred() -> None:
    (row,) = tally(*[Verdict.EQUAL] * 300).document()
    assert (row["compared"], row["equal"], row["differing"], row["bound"]) == (300, 300, 0, 0.01)


def test_one_that_differs_or_none_at_all_bounds_nothing() -> None:
    (row,) = tally(*[Verdict.EQUAL] * 300, Verdict.DIFFERS).document()
    assert (row["compared"], row["differing"], row["bound"]) == (301, 1, None)
    (row,) = tally(Verdict.SKIPPED, Verdict.SKIPPED).document()
    assert (row["compared"], row["skipped"], row["bound"]) == (0, {"why": 2}, None)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"/api/memories?limit=10&offset=-1", "/api/memories?limit=10&offset=-1"),
        (b"/memory/search?q=my+door+code&pinned=true", "/memory/search?q=…&pinned=true"),
        (b"/memory/search?door", "/memory/search?…"),
        (b"/api/x?token=123&apiKey=4", "/api/x?token=…&apiKey=…"),
        (b"/api/memory/1?", "/api/memory/1?"),
        (b"/" + b"x" * 5_000, "/" + "x" * 299),
    ],
)
def test_a_target_is_shown_without_what_was_looked_for(target: bytes, shown: str) -> None:
    assert shown_target(target, in_full=False) == shown


def test_a_target_in_full_still_hides_secrets() -> None:
    assert shown_target(b"/s?q=door&token=abc", in_full=True) == "/s?q=door&token=…"


def test_every_route_and_group_that_is_an_exception_exists() -> None:
    assert NOT_COMPARED.keys() | BY_DESIGN.keys() | stand_in.ROUTES <= DECLARED
    assert {f"POST {path}" for path in READING_POSTS} <= DECLARED
    assert {group.name for group in GROUPS} >= ROWS_ONLY


def test_every_exception_of_the_comparison_is_a_stated_difference() -> None:
    stated = (ROOT / "docs" / "differences.md").read_text() + (ROOT / "docs" / "cutover.md").read_text()
    assert all(route.partition(" ")[2] in stated for route in (*NOT_COMPARED, *BY_DESIGN))
