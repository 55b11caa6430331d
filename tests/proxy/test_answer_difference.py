"""Every kind of difference between two answers is found and told; what only moves is held to its form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.answer_difference import MOST_DIFFERENCES, differences, without_moving
from proxy.exchange_copy import Answer

JSON = ((b"content-type", b"application/json"),)


def answer(body: Any, status: int = 200, fields: tuple[tuple[bytes, bytes], ...] = JSON) -> Answer:
    return Answer(status, fields, body if isinstance(body, bytes) else json.dumps(body).encode())


def places(legacy: Answer, native: Answer) -> list[str]:
    return [difference.path for difference in differences(legacy, native)]


def test_equal_answers_have_none() -> None:
    assert differences(answer({"a": [1, None, "é"]}), answer({"a": [1, None, "é"]})) == []


@pytest.mark.parametrize(
    ("legacy", "native", "path"),
    [
        (b'{"a":1}', b'{"a":1.0}', "body.a"),
        (b'{"a":1}', b'{"a":"1"}', "body.a"),
        (b'{"a":null}', b"{}", "body.a"),
        (b'{"a":false}', b'{"a":0}', "body.a"),
        (b'{"a":[]}', b'{"a":{}}', "body.a"),
        (b'{"a":[1,2]}', b'{"a":[2,1]}', "body.a[0]"),
        (b'{"a":[1,2]}', b'{"a":[1]}', "body.a[1]"),
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}', "body (order of keys)"),
        (b'{"a":1}', b'{"a":1,"a":1}', "body (order of keys)"),
        (b'{"a":1}', b'{"a": 1}', "body"),
        (b'{"a":"\xc3\xa9"}', b'{"a":"\\u00e9"}', "body"),
        (b'{"a":1}', b"<html>", "body"),
        (b'{"a":1}', b"", "body"),
        (b"NaN", b"NaN ", "body"),
        (b"[" * 100_000, b"[" * 99_999, "body"),
    ],
)
def test_a_difference_in_the_body_is_found_at_its_place(legacy: bytes, native: bytes, path: str) -> None:
    assert places(answer(legacy), answer(native))[0] == path
    assert places(answer(native), answer(legacy))[0] == path


def test_an_id_does_not_hide_an_agent_id() -> None:
    assert places(answer({"id": 1, "agent_id": 1}), answer({"id": 1, "agent_id": 2})) == ["body.agent_id"]


def test_status_and_fields_count_and_those_of_the_connection_do_not() -> None:
    legacy = answer({}, 429, ((b"Content-Type", b"application/json"), (b"Retry-After", b"3"), (b"Date", b"now")))
    native = answer({}, 200, ((b"content-type", b"application/json"), (b"x-a", b"1"), (b"x-a", b"2")))
    found = differences(legacy, native)

    assert [difference.path for difference in found] == ["status", "headers.retry-after", "headers.x-a"]
    assert [difference.told(in_full=False) for difference in found] == [
        ("429", "200"), ("3", "(absent)"), ("(absent)", "1, 2"),
    ]  # fmt: skip


def test_a_body_of_head_is_not_compared() -> None:
    assert differences(answer(b""), answer({"a": 1}), head_only=True) == []


def test_what_a_text_says_is_told_only_in_full() -> None:
    (difference,) = differences(answer({"a": "the door code"}), answer({"a": "another one"}))
    assert difference.told(in_full=True) == ('"the door code"', '"another one"')
    shown = difference.told(in_full=False)
    assert "door" not in "".join(shown)
    assert shown[0] != shown[1]


def test_a_key_that_is_no_plain_name_is_not_told() -> None:
    (path,) = places(answer({"tags": {"my door code": 1}}), answer({"tags": {"my door code": 2}}))
    assert path.startswith('body.tags."')
    assert "door" not in path


def test_values_in_full_are_shortened() -> None:
    (difference,) = differences(answer({"a": "x" * 10_000}), answer({"a": ["y" * 10_000]}))
    assert all(len(text) < 200 for text in difference.told(in_full=True))


def test_no_more_are_listed_than_say_something() -> None:
    assert len(differences(answer(list(range(1000))), answer([]))) == MOST_DIFFERENCES


def moved(first: Any, second: Any, native: Any) -> list[str]:
    """Places that remain where legacy answered `first` and then `second`."""
    legacy = answer({"v": second})
    moving = differences(answer({"v": first}), legacy)
    return [each.path for each in without_moving(differences(legacy, answer({"v": native})), moving)]


def test_what_legacy_itself_answers_otherwise_the_second_time_must_keep_its_form_only() -> None:
    assert moved("2026-01-01T10:00:00.000Z", "2026-01-01T10:00:00.007Z", "2026-01-01T10:00:00.009Z") == []
    assert moved(1, 2, 30) == []
    assert moved("1f0e8c1a-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002",
                 "bbbbbbbb-0000-4000-8000-00000000000c") == []  # fmt: skip


@pytest.mark.parametrize("native", ["2026-01-01 10:00:00", None, 1767261600000, "2026-01-01T10:00:00Z"])
def test_another_form_is_a_difference_also_where_legacy_moves(native: Any) -> None:
    assert moved("2026-01-01T10:00:00.000Z", "2026-01-01T10:00:00.007Z", native) == ["body.v"]


def test_what_legacy_repeats_is_compared_exactly() -> None:
    assert moved(1, 1, 2) == ["body.v"]
