"""Loosely typed input. Source: the helper definitions of the contract, with what 0.58.1 was seen to accept."""

from __future__ import annotations

import math
from typing import Any

import pytest

from native_routes.javascript.coercion import optional_bool, optional_number, optional_positive_integer, optional_text


@pytest.mark.parametrize(
    ("value", "integer"),
    [
        ("1abc", 1), ("1e2", 100), (1.0, 1), (" 7", 7), ("0", None), (-1, None), ("1.5", None), (True, None),
        (None, None), ("", None), ("1e309", None), (math.nan, None), ("Infinity", None), ("+5", 5), ("0x10", None),
    ],
)  # fmt: skip
def test_positive_integers_are_read_from_numbers_and_prefixes(value: Any, integer: int | None) -> None:
    assert optional_positive_integer(value) == integer


@pytest.mark.parametrize(("value", "number"), [("0.5x", 0.5), (0, 0), (" ", None), (False, None), ([1], None)])
def test_numbers_are_finite_or_absent(value: Any, number: float | None) -> None:
    assert optional_number(value) == number


@pytest.mark.parametrize(("value", "text"), [(" a ", "a"), ("\ufeff", None), ("", None), (5, None)])
def test_text_is_trimmed_or_absent(value: Any, text: str | None) -> None:
    assert optional_text(value) == text


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (True, True), (1.0, True), ("1", True), (" TRUE\ufeff", True), (False, False), (-0.0, False), ("False", False),
        (2, None), ("yes", None), ("", None), (None, None), ([1], None), (math.nan, None), ("1.0", None),
    ],
)  # fmt: skip
def test_bools_are_read_from_numbers_and_words(value: Any, found: bool | None) -> None:
    assert optional_bool(value) is found
