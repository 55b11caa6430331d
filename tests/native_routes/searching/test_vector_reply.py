"""What a provider sends as a vector, against what `new Float32Array(...)` of Bun makes of it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from native_routes.searching.vector_reply import ollama_vector, openai_vector, read_vector


def read(embedding: str | bytes) -> list[float]:
    text = embedding.encode() if isinstance(embedding, str) else embedding
    return list(map(float, read_vector(b'{"embedding":' + text + b"}", ollama_vector)))


@pytest.mark.parametrize(
    ("embedding", "vector"),
    [
        ("[1,-0.5]", [1.0, -0.5]),
        ('["1","x",null,true,[2],[],{}]', [1.0, math.nan, 0.0, 1.0, 2.0, 0.0, math.nan]),
        ("[1e300,-1e400]", [math.inf, -math.inf]),
        ("[]", []),
        ("3", [0.0, 0.0, 0.0]),
        ('"2"', [0.0, 0.0]),
        ("-0.5", []),
        ("true", [0.0]),
        ('"no number"', []),
        ("1e6", []),  # as many zeros in legacy, which are no more of a vector
        ("{}", []),
        ('{"length":3,"0":1,"2":"5"}', [1.0, math.nan, 5.0]),
        ('{"length":-1,"0":1}', []),
    ],
)
def test_anything_that_is_something_makes_a_vector(embedding: str, vector: list[float]) -> None:
    assert read(embedding) == pytest.approx(vector, nan_ok=True)


@pytest.mark.parametrize(
    ("embedding", "problem"),
    [
        *[(nothing, "expected a list of numbers") for nothing in ("null", "0", '""', "false")],
        *[(number, "length cannot be negative") for number in ("-1", '"-5"')],
        ("4294967296", "Out of memory"),
        ("1e30", "length larger than"),
        *[(text, "is not JSON") for text in ("[NaN]", "[Infinity]")],
        ("[01]", "delimiter"),
    ],
)
def test_nothing_an_impossible_length_and_what_is_no_json_make_none(embedding: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read(embedding)


def test_the_text_around_a_vector_need_not_be_utf_8_and_may_begin_with_a_byte_order_mark() -> None:
    assert list(read_vector(b'{"model":"\xff","embedding":[1]}', ollama_vector)) == [1.0]
    assert list(read_vector(b'\xef\xbb\xbf{"embedding":[1]}', ollama_vector)) == [1.0]
    assert list(read_vector(b'{"model":"\\ud83d","embedding":[1]}', ollama_vector)) == [1.0]
    with pytest.raises(ValueError, match="Expecting value"):
        read_vector('{"embedding":[1]}'.encode("utf-16"), ollama_vector)


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ({"data": [{"embedding": [1]}, {"embedding": [2]}]}, [1]),
        ({"data": {"0": {"embedding": [1]}}}, [1]),
        ({"data": []}, None),
        ({"data": [None]}, None),
        ({"data": "text"}, None),
        ([{"embedding": [1]}], None),
        (None, None),
    ],
)
def test_openais_vector_is_the_first_of_its_data(reply: Any, found: Any) -> None:
    assert openai_vector(json.loads(json.dumps(reply))) == found


def test_a_zero_keeps_its_sign() -> None:
    assert [math.copysign(1, number) for number in read("[-0, 0, -0.0, -0e1]")] == [-1, 1, -1, -1]
