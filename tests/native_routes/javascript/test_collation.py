"""localeCompare. `recorded_order.txt` holds words of many scripts as Bun sorted them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_routes.javascript.collation import collation_key

RECORDED = Path(__file__).with_name("recorded_order.txt").read_text().splitlines()


def test_words_are_in_the_order_in_which_bun_sorted_them() -> None:
    assert len(RECORDED) > 400
    wrong = [(one, next_) for one, next_ in pairwise(RECORDED) if collation_key(one) > collation_key(next_)]
    assert wrong == []


@pytest.mark.parametrize(("one", "other"), [("é", "e\u0301"), ("a\u0001", "\u0001a"), ("각", "\u1100\u1161\u11a8")])
def test_texts_that_compare_as_equal_have_one_key(one: str, other: str) -> None:
    assert collation_key(one) == collation_key(other)


@given(st.text())
def test_every_text_has_a_key(text: str) -> None:
    assert collation_key(text) <= collation_key(text + "z")
