"""Sorting by comparisons that contradict each other. `recorded_sorts.json` holds what Bun made of lists with NaN."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_routes.javascript.sorting import sorted_as_bun

RECORDED = json.loads(Path(__file__).with_name("recorded_sorts.json").read_text())["sorts"]


@pytest.mark.parametrize("sort", RECORDED, ids=lambda sort: str(len(sort["values"])))
def test_the_order_is_buns_after_as_many_comparisons(sort: dict[str, Any]) -> None:
    values = [math.nan if value is None else value for value in sort["values"]]
    comparisons = 0

    def precedes(left: int, right: int) -> bool:
        nonlocal comparisons
        comparisons += 1
        return values[right] - values[left] < 0

    assert sorted_as_bun(range(len(values)), precedes) == sort["order"]
    assert comparisons == sort["comparisons"]


def test_recorded_lists_are_such_that_another_stable_sort_orders_them_otherwise() -> None:
    otherwise = 0
    for sort in RECORDED:
        values = [-math.inf if value is None else value for value in sort["values"]]
        otherwise += sorted(range(len(values)), key=lambda place, values=values: -values[place]) != sort["order"]  # type: ignore[misc]
    assert otherwise > 30


@given(st.lists(st.integers(0, 40), max_size=300))
def test_where_comparisons_agree_the_list_is_sorted_stably(values: list[int]) -> None:
    places = sorted_as_bun(range(len(values)), lambda left, right: values[left] < values[right])

    assert places == sorted(range(len(values)), key=lambda place: values[place])
