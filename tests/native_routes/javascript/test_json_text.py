"""JSON as JSON.parse reads it. The expected texts were answered by Signet 0.58.1 as metadata of a history entry."""

from __future__ import annotations

import pytest

from native_routes.javascript.json_text import DEEPEST, parse_json
from native_routes.javascript.primitives import stringify
from native_routes.javascript.values import to_text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (
            '{"b":1,"a":2,"2":1,"1":0,"01":5,"4294967295":1,"4294967294":2,"-1":0}',
            '{"1":0,"2":1,"4294967294":2,"b":1,"a":2,"01":5,"4294967295":1,"-1":0}',
        ),
        ("[1.0,1e21,1e400,12345678901234567890]", "[1,1e+21,null,12345678901234567000]"),
        ('{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'),
        ('"\\ud83d"', '"\\ud83d"'),
        ("5 ", "5"),
        ("-0", "0"),
        ('{"__proto__":{"x":1}}', '{"__proto__":{"x":1}}'),
        ("1" * 5000, "null"),
    ],
)
def test_values_are_javascripts(text: str, written: str) -> None:
    assert stringify(parse_json(text)) == written


@pytest.mark.parametrize("text", ["", "NaN", "-Infinity", "[1,]", "\ufeff{}", "\u00a01", '"a\tb"', "'a'", "01", "tru"])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


@pytest.mark.parametrize("outer", ["[%s]", '{"a":%s}'])
def test_what_python_could_not_walk_through_is_refused_as_no_json(outer: str) -> None:
    def nested(depth: int) -> str:
        text = "5"
        for _ in range(depth):
            text = outer % text
        return text

    deepest = parse_json(nested(DEEPEST))
    assert stringify(deepest) == nested(DEEPEST)
    assert to_text([deepest]) in ("5", "[object Object]")
    for depth in (DEEPEST + 1, 900, 3_000):
        with pytest.raises(ValueError, match="nested more than 200 deep"):
            parse_json(nested(depth))


def test_many_values_side_by_side_are_not_deep() -> None:
    assert len(parse_json("[" + "[]," * 1000 + "{}]")) == 1001
