"""Values of any type where JavaScript is loose about them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from native_routes.javascript.values import bindable, to_number, truthy


@pytest.mark.parametrize(
    ("value", "true"), [(b"", True), (b"0", True), ([], True), ({}, True), ("", False), (math.nan, False)]
)
def test_whatever_is_an_object_is_true(value: Any, true: bool) -> None:
    assert truthy(value) is true


@pytest.mark.parametrize(
    ("value", "number"), [(" ", 0), ("0x1F", 31), (b"", 0), (b"7", 55), ([5], 5), (None, 0), (" 1e3 ", 1000)]
)
def test_numbers_are_read_from_texts_and_from_what_becomes_text(value: Any, number: float) -> None:
    assert to_number(value) == number


@pytest.mark.parametrize("value", ["1x", b"77", [1, 2], {}])
def test_what_reads_as_no_number_is_nan(value: Any) -> None:
    assert math.isnan(to_number(value))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (-(2.0**51), int),
        (2.0**51 - 1, int),
        (2.0**51, float),
        (-(2.0**51) - 1, float),
        (2.0**53 - 1, float),
        (-0.0, float),
    ],
)
def test_whole_numbers_are_integers_to_sqlite_while_the_engine_keeps_them_as_such(value: float, kind: type) -> None:
    assert (bindable(value), type(bindable(value))) == (value, kind)
