"""Row numbers in memory are what numpy's own set functions make of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_routes.searching.row_numbers import NO_ROWS, Rows, changed, each_once, is_among, read_numbers

NUMBERS = st.lists(st.integers(-3, 40) | st.integers(-(2**63), 2**63 - 1), max_size=60)


def rows(numbers: list[int]) -> Rows:
    return np.array(numbers, dtype=np.int64)


@given(NUMBERS)
def test_each_number_comes_once_in_order(numbers: list[int]) -> None:
    given_ones = rows(numbers)
    assert each_once(given_ones).tolist() == sorted(set(numbers))
    assert given_ones.tolist() == numbers


@given(NUMBERS, NUMBERS)
def test_membership_is_that_of_sets(numbers: list[int], others: list[int]) -> None:
    some = each_once(rows(numbers))
    assert is_among(some, each_once(rows(others))).tolist() == [number in set(others) for number in some.tolist()]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [(None, []), ("", []), ("7", [7]), ("3,1,3", [3, 1, 3]), ("9223372036854775807", [2**63 - 1])],
)
def test_a_list_between_commas_is_read_as_it_stands(text: str | None, numbers: list[int]) -> None:
    assert read_numbers(text).tolist() == numbers


def test_there_is_an_empty_list() -> None:
    assert each_once(NO_ROWS).tolist() == is_among(NO_ROWS, NO_ROWS).tolist() == []


SOME = st.dictionaries(st.integers(-3, 40), st.integers(0, 3), max_size=30)


@given(SOME, SOME)
def test_what_changed_is_as_in_a_dictionary(before: dict[int, int], now: dict[int, int]) -> None:
    known = {row: float(value) for row, value in sorted(before.items()) if value}
    given_rows, given_values = rows(list(known)), np.array(list(known.values()), dtype=np.float64)
    found, values = changed(given_rows, given_values, now)
    expected = {row: value for row, value in sorted((known | now).items()) if value}
    assert dict(zip(found.tolist(), values.tolist(), strict=True)) == expected
    assert found.tolist() == list(expected)
    assert dict(zip(given_rows.tolist(), given_values.tolist(), strict=True)) == known
