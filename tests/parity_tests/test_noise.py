"""What two recordings make of a value: the same, a form that is checked later, or something nobody understands."""

from __future__ import annotations

import pytest

from parity_tests.harness.differ import Differ, Verdict
from parity_tests.harness.forms import Moment
from parity_tests.harness.homes.build import SECRET
from parity_tests.harness.names import iso_time, sql_time, token
from parity_tests.harness.noise import Settler
from parity_tests.harness.observation import Observation, Surroundings
from parity_tests.harness.rules import RuleBook, parse_rules
from parity_tests.harness.tree import Object, Tree, of, parse, plain, stringify

FIRST_S, SECOND_S, LATER_S = 1_790_000_000, 1_803_000_123, 1_810_000_777
A, B, C = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")
D = f"{'d' * 8}-0000-4000-8000-000000000000"
ROUTE = "GET /api/status"


def at(now_s: float) -> Moment:
    return Moment(now_s, now_s + 0.2, now_s - 3, SECRET)


def seen(now_s: float, tree: object) -> Observation:
    return Observation("s#1", ROUTE, at(now_s), of(tree))


def settled(first: object, second: object, *rules: dict[str, str]) -> tuple[Tree, list[str]]:
    settler = Settler(RuleBook(parse_rules(rules)))
    return settler.settle(seen(FIRST_S, first), seen(SECOND_S, second)), settler.unstable


def verdict(expected: Tree, got: object) -> bool:
    return not Differ(RuleBook(())).compare(expected, seen(LATER_S, got)).differences


def test_what_does_not_move_is_compared_exactly() -> None:
    expected, unstable = settled({"n": 1, "t": "2025-01-01T00:00:00.000Z"}, {"n": 1, "t": "2025-01-01T00:00:00.000Z"})
    assert plain(expected) == {"n": 1, "t": "2025-01-01T00:00:00.000Z"}
    assert not unstable
    assert not verdict(expected, {"n": 1, "t": iso_time(LATER_S)})


@pytest.mark.parametrize(
    ("first", "second", "form", "good", "bad"),
    [
        (iso_time(FIRST_S), iso_time(SECOND_S), "«iso/3Z:now+0»", iso_time(LATER_S), iso_time(LATER_S - 3600)),
        (iso_time(FIRST_S), iso_time(SECOND_S), "«iso/3Z:now+0»", iso_time(LATER_S), sql_time(LATER_S)),
        (sql_time(FIRST_S), sql_time(SECOND_S), "«sql/0:now+0»", sql_time(LATER_S), iso_time(LATER_S)),
        (
            iso_time(FIRST_S + 3600),
            iso_time(SECOND_S + 3600),
            "«iso/3Z:now+3600»",
            iso_time(LATER_S + 3600),
            iso_time(LATER_S),
        ),
        (iso_time(FIRST_S)[:10], iso_time(SECOND_S)[:10], "«date:now+0»", iso_time(LATER_S)[:10], "2025-01-01"),
        (
            f"{iso_time(FIRST_S)[:10]}T23:59:59.999Z",
            f"{iso_time(SECOND_S)[:10]}T23:59:59.999Z",
            "«edgeT23:59:59.999Z:now+0»",
            f"{iso_time(LATER_S)[:10]}T23:59:59.999Z",
            f"{iso_time(LATER_S)[:10]}T00:00:00.000Z",
        ),
        (A, B, "«id:1»", C, "c" * 8),
        (f"memory {A} stored", f"memory {B} stored", "memory «id:1» stored", f"memory {C} stored", f"memory {C} kept"),
        ("a" * 32, "b" * 32, "«hex32:1»", "c" * 32, "c" * 31),
        (FIRST_S * 1000, SECOND_S * 1000 + 7, "«#ms/integer:now+0»", LATER_S * 1000, LATER_S),
        (3.1, 3.2, "«#uptime:decimal»", 3.15, 900.5),
        (FIRST_S - 1_700_000_000, SECOND_S - 1_700_000_000, "«#age/s:1700000000»", LATER_S - 1_700_000_000, 5),
    ],
)
def test_what_moves_gets_its_form_and_the_form_is_checked(
    first: object, second: object, form: str, good: object, bad: object
) -> None:
    expected, unstable = settled({"uptime": first}, {"uptime": second})
    assert not unstable
    assert isinstance(expected, Object)
    assert expected.get("uptime") == form
    assert verdict(expected, {"uptime": good})
    assert not verdict(expected, {"uptime": bad})


@pytest.mark.parametrize(
    ("first", "second"), [(3, 4), ("a", "b"), (None, 1), ([1], [1, 2]), ({"a": 1}, {"b": 1}), (A, "x")]
)
def test_what_moves_without_a_form_is_named(first: object, second: object) -> None:
    _, unstable = settled({"n": first}, {"n": second})
    assert len(unstable) == 1
    assert unstable[0].startswith("s#1 n: ")


def test_an_id_stays_one_id_through_a_scenario() -> None:
    expected, _ = settled([A, A, B], [C, C, D])
    assert plain(expected) == ["«id:1»", "«id:1»", "«id:2»"]
    assert verdict(expected, [D, D, A])
    assert not verdict(expected, [D, C, A])
    assert not verdict(expected, [D, D, D])


def test_two_recordings_that_disagree_on_which_ids_are_the_same_are_named() -> None:
    assert settled([A, A], [B, C])[1]


def test_a_token_is_compared_by_its_claims_and_signature() -> None:
    expected, unstable = settled(token("agent", SECRET, FIRST_S), token("agent", SECRET, SECOND_S))
    assert not unstable
    assert verdict(expected, token("agent", SECRET, LATER_S))
    assert not verdict(expected, token("admin", SECRET, LATER_S))
    assert not verdict(expected, token("agent", b"another secret", LATER_S))
    assert not verdict(expected, token("agent", SECRET, LATER_S - 7200))


def test_a_rule_gives_a_form_to_what_has_none() -> None:
    rule = {"route": ROUTE, "path": "rss", "kind": "form", "form": "integer", "reason": "size of the process"}
    expected, unstable = settled({"rss": 5}, {"rss": 9}, rule)
    assert not unstable
    assert plain(expected) == {"rss": "«#integer»"}
    assert verdict(expected, {"rss": 7})
    assert not verdict(expected, {"rss": 7.5})
    assert not verdict(expected, {"rss": "7"})


def test_a_text_that_looks_like_a_placeholder_is_only_a_text() -> None:
    around = Surroundings()
    expected = of({"t": around.text("«id:1»")})
    assert Differ(RuleBook(())).compare(expected, seen(LATER_S, {"t": A})).differences
    assert verdict(expected, {"t": around.text("«id:1»")})


def test_a_side_is_named_not_spelled_out() -> None:
    around = Surroundings(stamps={"2026-01-01T00:00:00.000Z": "home-2d"})
    around.name("/somewhere/home", "home")
    around.numbers[("port", "4711")] = "port"
    tree = around.tree(of({"port": 4711, "count": 4711, "at": "2026-01-01T00:00:00.000Z", "dir": "/somewhere/home/x"}))
    assert plain(tree) == {"port": "«#port»", "count": 4711, "at": "«home-2d»", "dir": "«home»/x"}


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("1", '"1"'), ("null", '""'), ("1e2", "100"), ("0", "-0")])
def test_numbers_are_compared_as_they_are_written(one: str, other: str) -> None:
    comparison = Differ(RuleBook(())).compare(parse(one), Observation("s#1", ROUTE, at(LATER_S), parse(other)))
    assert comparison.fields[Verdict.DIFFERS] == 1


@pytest.mark.parametrize(
    "text", ['{"b":1,"a":[1.0,1e21,-0],"a":null}', '["\\ud83d","é","\\u0001\\n","\\u007f"]', '{"":{}}', "[]", '"x"']
)
def test_a_tree_is_written_as_it_was_read(text: str) -> None:
    assert stringify(parse(text)) == text.replace("\\u007f", "\x7f")
