"""Reports say what was compared, show both sides of a difference, and certify refuses a thin proof."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from native_routes.declaration import RouteGroup
from parity_tests.harness import html_report, report
from parity_tests.harness.certify import NotProven, certify, group_named
from parity_tests.harness.cli import main
from parity_tests.harness.differ import Comparison, Differ
from parity_tests.harness.explain import around, explain
from parity_tests.harness.faketime import NoFaketime, find_faketime
from parity_tests.harness.forms import Moment
from parity_tests.harness.native_terms import expected_of_native
from parity_tests.harness.observation import Observation
from parity_tests.harness.outcome import Outcome, ScenarioOutcome
from parity_tests.harness.rules import RuleBook
from parity_tests.harness.tree import of, plain

NOW = Moment(1_800_000_000.0, 1_800_000_000.1, 1_799_999_999.0)
LIST = "GET /api/memories"
REFUSED = {"status": 404, "body": {"error": "Memory not found"}}


def compared(number: int, route: str = LIST, expected: object = None, got: object = None) -> Comparison:
    wanted = of({"status": 200, "body": {"n": number}} if expected is None else expected)
    request = of({"method": "GET", "target": f"/x?{number}"})
    seen = Observation(f"memories/a#{number}", route, NOW, wanted if got is None else of(got), request)
    return Differ(RuleBook(())).compare(wanted, seen)


def outcome(*comparisons: Comparison) -> Outcome:
    scenario = ScenarioOutcome("memories/a", list(comparisons), titles={"memories/a#1": "GET <the list>"})
    return Outcome("the corpus", "native", [scenario, ScenarioOutcome("memories/b", left_out="not native yet")])


DIFFERENT = compared(1, got={"status": 200, "body": {"n": "<b>\x01"}})


def test_the_terminal_report_ends_with_the_verdict() -> None:
    *_, last = report.terminal(outcome(compared(1), compared(2)))
    assert last.startswith("PARITY: 2 answers of native compared with the corpus (4 equal fields), no difference; 95 %")
    *_, last = report.terminal(outcome(DIFFERENT))
    assert last.startswith("NO PARITY: 1 answers")


def test_json_holds_every_difference() -> None:
    data = json.loads(report.as_json(outcome(DIFFERENT)))
    assert not data["holds"]
    assert data["scenarios"][0]["differences"][0] | {"why": ""} == {
        "case": "memories/a#1", "route": LIST, "path": "body.n", "expected": "1", "got": '"<b>\\u0001"', "why": "",
    }  # fmt: skip
    assert data["scenarios"][1] == {"scenario": "memories/b", "left_out": "not native yet"}


def test_junit_has_a_failure_for_each_case_that_differs() -> None:
    root = ElementTree.fromstring(report.as_junit(outcome(DIFFERENT, compared(2))))
    assert len(root.findall(".//testcase")) == 3
    assert len(root.findall(".//failure")) == 1
    assert len(root.findall(".//skipped")) == 1


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        assert tag != "script"

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_stands_alone_and_shows_both_sides_escaped() -> None:
    text = html_report.page(outcome(DIFFERENT))
    page = Page(text)
    assert page.links == []
    assert "GET <the list>" in page.words
    assert '"<b>' not in text
    assert '"<b>\\u0001"' in page.words
    assert "not compared" in page.words


def test_explain_shows_where_the_texts_part() -> None:
    long = "x" * 500
    assert around(f"{long}a{long}", f"{long}b{long}") == (
        f"...{'x' * 40}a{'x' * 40}...",
        f"...{'x' * 40}b{'x' * 40}...",
    )
    lines = list(explain(outcome(DIFFERENT).scenarios[0], "memories/a#1"))
    assert "first of 1 differences: body.n" in lines
    assert "holds: 2 fields compared" in explain(outcome(compared(1)).scenarios[0], "memories/a#1")
    assert "cases are 1" in next(explain(outcome(compared(1)).scenarios[0], "memories/a#9"))


def proven() -> tuple[RouteGroup, Outcome, Mapping[str, object]]:
    group = group_named("memories")
    routes = [f"{route.method} {route.path}" for route in group.routes]
    cases = [compared(number, routes[number % len(routes)]) for number in range(300)]
    refusals = {"memories": {"GET /api/memory/:id": [[404, "Memory not found"]]}}
    return group, outcome(*cases, compared(999, "GET /api/memory/:id", REFUSED)), refusals


def test_certify_writes_down_what_was_proven() -> None:
    group, run, refusals = proven()
    evidence = certify(group, [run], "digest", refusals)
    assert (evidence.comparisons, evidence.differences, evidence.corpus_digest) == (301, 0, "digest")
    assert evidence.bound_95 == 3 / 301
    assert "native_routes/memories/__init__.py" in evidence.modules
    assert json.loads(evidence.text())["group"] == "memories"


def test_certify_counts_a_repeated_comparison_once() -> None:
    group, run, refusals = proven()
    assert certify(group, [run, run], "digest", refusals).comparisons == 301


def test_a_case_that_was_replayed_and_compared_live_counts_once() -> None:
    group, run, refusals = proven()
    moved = outcome(*(compared(number, one.route, {"status": 200, "body": {"n": str(number)}})
                      for number, one in enumerate(run.scenarios[0].comparisons[:300])))  # fmt: skip
    assert certify(group, [run, moved], "digest", refusals).comparisons == 301


def test_a_listed_refusal_may_leave_a_text_open_but_not_its_status_or_route() -> None:
    group, run, _ = proven()
    for listed in ("Memory * found", "*", "Memory not found"):
        certify(group, [run], "digest", {"memories": {"GET /api/memory/:id": [[404, listed]]}})
    for status, listed in ((404, "Memory found*"), (400, "*")):
        with pytest.raises(NotProven, match="was not compared"):
            certify(group, [run], "digest", {"memories": {"GET /api/memory/:id": [[status, listed]]}})
    with pytest.raises(NotProven, match="no route of the group"):
        certify(group, [run], "digest", {"memories": {"GET /no/such": [[404, "*"]]}})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda run: run.scenarios[0].comparisons.pop(), "the refusal 404 'Memory not found' was not compared"),
        (
            lambda run: run.scenarios[0].comparisons.__delitem__(slice(0, 20)),
            "281 distinct comparisons; 300 are needed",
        ),
        (lambda run: run.scenarios[0].comparisons.append(DIFFERENT), "1 differences"),
        (lambda run: run.scenarios[0].problems.append("rule unused"), "rule unused"),
        (lambda run: run.scenarios.clear(), "nothing was compared"),
        (lambda run: setattr(run, "candidate", "legacy_ts"), "the answers of legacy_ts, not native ones"),
    ],
)
def test_certify_refuses_a_proof_that_does_not_reach(spoil: object, reason: str) -> None:
    group, run, refusals = proven()
    spoil(run)  # type: ignore[operator]  # one of the lambdas above
    with pytest.raises(NotProven) as refused:
        certify(group, [run], "digest", refusals)
    assert reason in str(refused.value)


def test_certify_wants_the_refusals_listed_and_more_of_a_group_that_writes() -> None:
    group, run, refusals = proven()
    with pytest.raises(NotProven, match="its refusals are not listed"):
        certify(group, [run], "digest", {})
    with pytest.raises(NotProven, match="1000 are needed"):
        certify(replace(group, writes=frozenset({"memories"})), [run], "digest", refusals)


def test_a_native_answer_must_say_that_it_is_native() -> None:
    expected = of({"status": 200, "headers": {"connection": "keep-alive", "date": "d"}})
    wanted = expected_of_native(expected, of({"headers": {"content-length": "7"}}), "HEAD")
    headers = {"content-length": "7", "date": "d", "x-signet-served-by": "native"}
    assert plain(wanted) == {"status": 200, "headers": headers}


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_the_command_line_names_what_is_wrong(tmp_path: Path) -> None:
    assert "no such daemon" in run("replay", "--candidate", str(tmp_path / "none.js")).output
    assert "no scenario no/such; there are" in run("replay", "no/such").output
    assert "no evidence is written" in run("certify", "no_such_group").output


def test_replay_writes_its_reports(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("r.html", "r.json", "r.xml")]
    options = ("--html", str(paths[0]), "--json", str(paths[1]), "--junit", str(paths[2]))
    done = run("replay", "memories/list", *options)
    assert done.exit_code == 0, done.output
    assert all(path.stat().st_size > 200 for path in paths)


def test_without_libfaketime_the_message_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(NoFaketime, match="apt install libfaketime"):
        find_faketime([str(tmp_path)])
