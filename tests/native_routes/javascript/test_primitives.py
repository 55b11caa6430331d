"""Numbers, white space and JSON as JavaScript has them. The expected texts were printed by Bun."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native_routes.javascript.primitives import number_text, parse_float, parse_int, stringify, trim, undefined


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (123456789012345680000.0, "123456789012345680000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-1.0301891855628605e-06, "-0.0000010301891855628605"),
        (1e16, "10000000000000000"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (2**63, "9223372036854776000"),
        (12345678901234567890, "12345678901234567000"),
        (100.0, "100"),
        (-0.001, "-0.001"),
    ],
)
def test_number_is_written_as_ecmascript_writes_it(value: float, text: str) -> None:
    assert number_text(value) == text


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_written_number_reads_back_as_the_same_double(value: float) -> None:
    assert float(number_text(value)) == value


@pytest.mark.parametrize(
    ("text", "number"), [("12abc", 12), ("1e3", 1), ("0x1f", 0), ("2.9", 2), ("\ufeff -7", -7), ("+5", 5)]
)
def test_parse_int_takes_the_longest_prefix_of_digits(text: str, number: float) -> None:
    assert parse_int(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.5xyz", 0.5), ("1e3x", 1000), (".5", 0.5), ("5.", 5), ("1e", 1), ("-Infinityx", -math.inf), ("\u00a01_0", 1)],
)
def test_parse_float_takes_the_longest_decimal_prefix(text: str, number: float) -> None:
    assert parse_float(text) == number


@pytest.mark.parametrize("text", ["", "abc", "-", "\u00855", "\u0663", "infinity"])
def test_text_without_a_leading_number_is_not_a_number(text: str) -> None:
    assert math.isnan(parse_int(text))
    assert math.isnan(parse_float(text))


def test_trim_takes_the_byte_order_mark_and_leaves_next_line_and_separators() -> None:
    assert trim("\ufeff \u00a0\u2028x\u3000\t") == "x"
    assert trim("\u0085x\u001c\u200b") == "\u0085x\u001c\u200b"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1.0, None, True]}, '{"b":1,"a":[1,null,true]}'),
        ({"gone": undefined, "kept": None}, '{"kept":null}'),
        ([undefined, math.nan, math.inf, -math.inf], "[null,null,null,null]"),
        ({}, "{}"),
        ([], "[]"),
        ({"gone": undefined}, "{}"),
        ((1, ()), "[1,[]]"),
        ('"\\/\b\f\n\r\t\x01\x7f', '"\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f"'),
        ("é你\u2028😀", '"é你\u2028😀"'),
        ("lone \ud83d end", '"lone \\ud83d end"'),
        ("\udc00\ud83d", '"\\udc00\\ud83d"'),
        ("pair \ud83d\ude00", '"pair 😀"'),
        ({"\ud800": 0}, '{"\\ud800":0}'),
    ],
)
def test_json_is_written_as_javascript_writes_it(value: object, text: str) -> None:
    assert stringify(value) == text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)  # machines in CI stall
@given(JSON_VALUES)
def test_written_json_is_compact_utf8_that_reads_back(value: object) -> None:
    text = stringify(value)
    text.encode()

    def plain(item: object) -> object:
        if isinstance(item, float):
            return item if math.isfinite(item) else None
        if isinstance(item, list):
            return [plain(part) for part in item]
        return {key: plain(part) for key, part in item.items()} if isinstance(item, dict) else item

    assert json.loads(text, parse_int=float) == plain(value)


@pytest.mark.parametrize("value", [datetime.now(UTC), b"bytes", {1, 2}, {"nested": object()}, {5: "number as key"}])
def test_a_value_without_a_json_form_is_an_error_and_never_sent(value: object) -> None:
    with pytest.raises(TypeError, match=r"JSON"):
        stringify(value)
