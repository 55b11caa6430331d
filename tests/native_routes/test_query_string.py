"""The query of a target as Hono reads it. Expectations: Signet 0.58.1, through /api/memories and /history."""

from __future__ import annotations

import pytest

from native_routes.query_string import query_parameter


@pytest.mark.parametrize(
    ("target", "value"),
    [
        (b"/x", None),
        (b"/x?", None),
        (b"/x?limit", ""),
        (b"/x?limit=", ""),
        (b"/x?limit=5&limit=6", "5"),
        (b"/x?Limit=5", None),
        (b"/x?limitx=5", None),
        (b"/x?xlimit=5", None),
        (b"/x?a=1&limit=5", "5"),
        (b"/x?limit=a+b%20c", "a b c"),
        (b"/x?limit=%2B5", "+5"),
        (b"/x?limit=%E4%BD%A0", "\u4f60"),
        (b"/x?limit=\xe4\xbd\xa0", "\u4f60"),
        (b"/x?limit=%zz%41", "%zzA"),
        (b"/x?limit=%ff%41", "%ff%41"),
        (b"/x?limit=%", "%"),
        (b"/x?limit=5%26a", "5&a"),
        (b"/x?limit=1=2", "1=2"),
        (b"/x?lim%69t=5", "5"),
        (b"/x?lim%69t=5&limit=6", "6"),
        (b"/x?+limit=5", None),
        (b"/x?limit=5#frag", "5#frag"),
        (b"/x?a?limit=5", None),
        (b"/x?&&=&limit=7", "7"),
    ],
)
def test_first_plain_occurrence_counts_and_is_decoded(target: bytes, value: str | None) -> None:
    assert query_parameter(target, "limit") == value
