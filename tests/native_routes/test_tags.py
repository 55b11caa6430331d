"""The two readings of a memory's tags. Expectations: Signet 0.58.1."""

from __future__ import annotations

import pytest

from native_routes.tags import parse_tags_field, parse_tags_of_timeline, split_tags


@pytest.mark.parametrize(
    ("stored", "anywhere", "in_timeline"),
    [
        (None, [], []),
        ("", [], []),
        (" a ,, b,a", ["a", "b", "a"], ["a", "b", "a"]),
        ('["a", 5, null, "b,c", " d ", ""]', ["a", "b,c", " d ", ""], ["a", "b,c", "d"]),
        (' [ "x" ] ', ["x"], ["x"]),
        ('\ufeff["x"]', ['["x"]'], ["x"]),
        ("[bad, json]", ["[bad", "json]"], ["[bad", "json]"]),
        ("[NaN]", ["[NaN]"], ["[NaN]"]),
        ('{"a":1}', ['{"a":1}'], ['{"a":1}']),
        ('"text"', ['"text"'], ['"text"']),
        ("[]", [], []),
    ],
)
def test_tags_are_a_json_array_or_lie_between_commas(
    stored: str | None, anywhere: list[str], in_timeline: list[str]
) -> None:
    assert parse_tags_field(stored) == anywhere
    assert parse_tags_of_timeline(stored) == in_timeline


def test_javascripts_white_space_is_trimmed_and_no_other() -> None:
    assert split_tags("\u00a0a\u3000,\x85b\x1c") == ["a", "\x85b\x1c"]
