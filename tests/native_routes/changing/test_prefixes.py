"""Prefixes before what is to be remembered, types, lower case."""

from __future__ import annotations

import pytest

from native_routes.changing.prefixes import Prefixed, infer_type, read_prefixes
from native_routes.javascript.lower_case import lower_case


@pytest.mark.parametrize(
    ("text", "content", "tags", "pinned"),
    [
        ("  plain ", "plain", None, False),
        ("critical: x", "x", None, True),
        ("CRITICAL:x", "x", None, True),
        ("critical: critical: x", "critical: x", None, True),
        ("critical:", "", None, True),
        ("[a, B,, ]: x", "x", "a,b", False),
        ("critical: [Foo, BAR ,]: always", "always", "foo,bar", True),
        ("[x]: critical: y", "critical: y", "x", False),
        ("[ , ]: x", "x", "", False),
        ("[]: x", "[]: x", None, False),
        ("[a,b]:", "[a,b]:", None, False),
        ("[a]\n: x", "[a]\n: x", None, False),
        ("[a\nb]:\u3000two\nlines", "two\nlines", "a\nb", False),
        ("[a]]: x", "[a]]: x", None, False),
        ("[ÄÖ]:x", "x", "äö", False),
    ],
)
def test_prefixes_are_read_once_and_in_order(text: str, content: str, tags: str | None, pinned: bool) -> None:
    assert read_prefixes(text) == Prefixed(content, tags, pinned, 1 if pinned else 0.8)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("I always prefer tea", "preference"),
        ("debug it", "issue"),
        ("unwanted", "preference"),
        ("We AGREED", "decision"),
        ("til", "fact"),
        ("TIL that", "learning"),
        ("until x", "learning"),
        ("never", "rule"),
        ("", "fact"),
    ],
)
def test_the_first_hint_of_the_list_decides_the_type(text: str, type_: str) -> None:
    assert infer_type(text) == type_


@pytest.mark.parametrize(
    ("text", "lower"),
    [
        ("ΟΔΟΣ ΑΣ.", "οδος ας."),
        ("İI", "i\u0307i"),
        ("ẞﬃǄ", "ßﬃǆ"),
        ("\ua7cb\ua7dc\ua7da", "\u0264\u019b\ua7db"),
        ("\U00010d50\U00010d65\U00016ea0\U00016eb8", "\U00010d70\U00010d85\U00016ebb\U00016ed3"),
        ("half \ud83d PAIR", "half \ud83d pair"),
    ],
)
def test_lower_case_is_that_of_the_newest_unicode(text: str, lower: str) -> None:
    assert lower_case(text) == lower
