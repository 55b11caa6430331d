from __future__ import annotations

import json

import pytest

from native_routes.javascript.json_problem import json_problem

# What Bun 1.4.2 says; 300,000 generated texts agreed when this was written.
SAID = {
    "": "Unexpected EOF",
    " \n": "Unexpected EOF",
    "{oops": "Expected '}'",
    "{": "Expected '}'",
    "{1:2}": "Expected '}'",
    '{"a":1 "b":2}': "Expected '}'",
    '{"a":1]': "Expected '}'",
    '{"a":1,}': "Property name must be a string literal",
    '{"a":1,b:2}': "Property name must be a string literal",
    '{"a"}': "Expected ':' before value in object property definition",
    '{"a":': "Unexpected EOF",
    '{"a":}': "Unexpected token '}'",
    '{"a":NaN}': 'Unexpected identifier "NaN"',
    "undefined": 'Unexpected identifier "undefined"',
    "$a_1-": 'Unexpected identifier "$a_1"',
    "tru": 'Unexpected identifier "tru"',
    "truex": "Unable to parse JSON string",
    "[truex]": "Expected ']'",
    "[1 2]": "Expected ']'",
    "[1,": "Unexpected EOF",
    "[1,]": "Unexpected comma at the end of array expression",
    "[,1]": "Unexpected token ','",
    "[}": "Unexpected token '}'",
    "{} trailing": "Unable to parse JSON string",
    "1e": "Unable to parse JSON string",
    "01": "Unable to parse JSON string",
    "1.": "Invalid digits after decimal point",
    "-x": "Invalid number",
    ".5": "Unexpected token '.'",
    "+1": "Unrecognized token '+'",
    "[1]//c": "Unrecognized token '/'",
    "{}\0": "Unrecognized token '\0'",
    "\ufeff{}": "Unrecognized token '\ufeff'",
    "\U0001f600": "Unrecognized token '\ud83d'",
    "{'a':1}": "Single quotes (') are not allowed in JSON",
    '"a': "Unterminated string",
    '"a\n"': "Unterminated string",
    '"\\': "Unterminated string",
    '"\\u1234': "Unterminated string",
    '"\\x"': "Invalid escape character x",
    '"\\\U0001f600"': "Invalid escape character \ud83d",
    '"\\u12"': "\\u must be followed by 4 hex digits",
    '"\\u12g4"': '"\\u12g4" is not a valid unicode escape',
    '"\\u12\U0001f600"': '"\\u12\U0001f600" is not a valid unicode escape',
}


@pytest.mark.parametrize("text", SAID)
def test_what_is_wrong_is_told_as_the_engine_tells_it(text: str) -> None:
    assert json_problem(text) == f"JSON Parse error: {SAID[text]}"


@pytest.mark.parametrize("text", ['{"a":[1,-0.5e+3,{"b":"\\u0041\\n\x7f"}],"d":null}', " [] ", '"x"', "-0", "1e400"])
def test_json_has_no_problem(text: str) -> None:
    json.loads(text)
    assert json_problem(text) is None


def test_text_may_be_nested_as_deep_as_it_is_long() -> None:
    assert json_problem("[" * 100_000 + "]" * 100_000) is None
    assert json_problem('{"a":' * 100_000) == "JSON Parse error: Unexpected EOF"
