"""The fast writer of JSON against the plain one, which follows ECMA-262 step by step."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as some

from native_routes.javascript import json_bytes
from native_routes.javascript.json_bytes import stringify_utf8
from native_routes.javascript.primitives import stringify, undefined

ANY_TEXT = some.text(some.characters(exclude_categories=()))  # halves of surrogate pairs too
ATOMS = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(-(2**70), 2**70),
    some.floats(),
    some.floats(-1e-3, 1e-3),
    some.sampled_from([1e-4, 9.999e-5, 1e-5, 1e-6, 1e-7, 1e15, 1e16, 1e17, 1e21, 2.0**53, -0.0, 0.1 + 0.2, 5e-324]),
    ANY_TEXT,
    some.just(undefined),
)
VALUES = some.recursive(
    ATOMS, lambda inner: some.lists(inner) | some.dictionaries(ANY_TEXT, inner) | some.tuples(inner), max_leaves=20
)


@given(VALUES)
def test_bytes_are_those_of_the_plain_writer(value: Any) -> None:
    assert stringify_utf8(value) == stringify(value).encode()


@given(some.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_written_as_javascript_does(number: float) -> None:
    assert stringify_utf8([number]) == stringify([number]).encode()


def test_every_character_of_one_byte_is_escaped_alike() -> None:
    for code in range(256):
        assert stringify_utf8(chr(code)) == stringify(chr(code)).encode()


def test_what_has_no_json_form_is_refused_by_both() -> None:
    for value in (object(), {1: "a key that is no text"}, {"bytes": b"x"}, {"set": {1}}):
        with pytest.raises(TypeError):
            stringify_utf8(value)


def test_mappings_of_other_kinds_are_objects_too() -> None:
    assert stringify_utf8(MappingProxyType({"a": 1.0})) == b'{"a":1}'


def test_a_usual_reply_is_written_by_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the fast way would be gone without anybody noticing."""
    monkeypatch.setattr(json_bytes, "stringify", lambda value: pytest.fail(f"written slowly: {value!r}"))
    value = {
        "score": 0.73,
        "importance": 1.0,
        "pinned": False,
        "tags": None,
        "n": 3,
        "list": [{"x": undefined}],
        "u": "é",
    }

    assert stringify_utf8(value) == orjson.dumps(
        {"score": 0.73, "importance": 1, "pinned": False, "tags": None, "n": 3, "list": [{}], "u": "é"}
    )


def test_numbers_that_are_none_become_null() -> None:
    assert stringify_utf8([math.nan, math.inf, -math.inf, undefined]) == b"[null,null,null,null]"
