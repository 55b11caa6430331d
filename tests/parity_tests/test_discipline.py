"""What must fail the harness although no answer differs: bad rules, nothing compared, missing and stale things."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from parity_tests.harness import corpus, schema_classes, snapshot, sqlite
from parity_tests.harness.compare import held_against, replay
from parity_tests.harness.differ import Differ, Verdict
from parity_tests.harness.evidence import PROVIDED, imported_modules, stale
from parity_tests.harness.forms import Moment
from parity_tests.harness.homes import build
from parity_tests.harness.observation import Observation
from parity_tests.harness.outcome import Outcome, ScenarioOutcome
from parity_tests.harness.rules import RuleBook, RuleError, parse_rule, parse_rules
from parity_tests.harness.scenario import Scenario, Send, WriteFile
from parity_tests.harness.scenario_file import ScenarioError, load
from parity_tests.harness.side import SideError, SideKind, side_kind
from parity_tests.harness.tree import Tree, of, parse, stringify
from proxy.services import Services

NOW = Moment(1_800_000_000.0, 1_800_000_000.1, 1_799_999_999.0)
TODAY = date(2027, 1, 1)
ROUTE = "GET /api/memories"


def rule(**fields: object) -> dict[str, object]:
    return {
        "route": ROUTE,
        "path": "body.id",
        "kind": "differs",
        "to": "x",
        "reason": "the two sides name it otherwise",
    } | fields


def differences(expected: Tree, got: Tree, *rules: dict[str, object]) -> tuple[list[str], list[str]]:
    """Paths that differ, and what is wrong with the rules."""
    book = RuleBook(parse_rules(rules), candidate="native")
    seen = Observation("s#1", ROUTE, NOW, got)
    paths = [difference.path for difference in Differ(book).compare(expected, seen).differences]
    return paths, book.problems(TODAY)


def test_a_rule_that_excuses_its_field_holds() -> None:
    assert differences(of({"body": {"id": "a"}}), of({"body": {"id": "x"}}), rule()) == ([], [])


def test_a_rule_without_anything_to_excuse_is_unused() -> None:
    _, problems = differences(of({"body": {"id": "a"}}), of({"body": {"id": "a"}}), rule())
    assert problems == [f"differs rule {ROUTE} body.id: unused, legacy and candidate agree"]


def test_a_rule_for_a_field_that_no_answer_has_is_unanchored() -> None:
    _, problems = differences(of({"body": {"id": "a"}}), of({"body": {"id": "x"}}), rule(path="body.identity"))
    assert problems == [f"differs rule {ROUTE} body.identity: unanchored, no answer has that field"]


def test_a_rule_is_wrong_after_its_day() -> None:
    _, problems = differences(of({"body": {"id": "a"}}), of({"body": {"id": "x"}}), rule(expires=date(2026, 12, 31)))
    assert problems == [f"differs rule {ROUTE} body.id: expired on 2026-12-31"]


@pytest.mark.parametrize("other", ["agent_id", "id2", "the.id"])
def test_a_rule_for_id_does_not_hide_a_field_whose_name_ends_in_it(other: str) -> None:
    expected, got = of({"body": {"id": "a", other: "a"}}), of({"body": {"id": "x", other: "x"}})
    paths, _ = differences(expected, got, rule())
    assert len(paths) == 1
    assert "id" in paths[0]


def test_a_rule_for_id_does_not_hide_an_id_further_down() -> None:
    expected, got = of({"body": {"id": "a", "in": {"id": "a"}}}), of({"body": {"id": "x", "in": {"id": "x"}}})
    assert differences(expected, got, rule())[0] == ["body.in.id"]


def test_a_star_stands_for_an_index_and_not_for_a_key() -> None:
    expected, got = of({"body": {"k": {"id": "a"}}}), of({"body": {"k": {"id": "x"}}})
    paths, problems = differences(expected, got, rule(path="body[*].id"))
    assert paths == ["body.k.id"]
    assert "unanchored" in problems[0]


def test_a_declared_difference_must_be_the_declared_one() -> None:
    assert differences(of({"body": {"id": "a"}}), of({"body": {"id": "y"}}), rule())[0] == ["body.id"]


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "ignore"},
        {"reason": "because"},
        {"kind": "form"},
        {"path": "body..id"},
        {"expires": "soon"},
        {"route": ROUTE, "suffix": "id"},
    ],
)
def test_a_rule_that_is_not_well_formed_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(RuleError):
        parse_rule(rule(**bad))


def test_json_against_text_is_a_difference() -> None:
    paths, _ = differences(of({"kind": "json", "body": {}}), of({"kind": "text", "body": "{}"}))
    assert paths == ["kind", "body"]


def test_a_comparison_of_only_borrowed_fields_counts_none_of_them() -> None:
    borrowed = rule(kind="borrowed")
    del borrowed["to"]
    book = RuleBook(parse_rules([borrowed]), candidate="native")
    got = Observation("s#1", ROUTE, NOW, of({"body": {"id": "b", "n": 1}}))
    comparison = Differ(book).compare(of({"body": {"id": "a", "n": 1}}), got)
    assert comparison.fields[Verdict.BORROWED] == comparison.fields[Verdict.EQUAL] == 1
    assert comparison.differences == []


def test_a_case_of_which_everything_is_borrowed_compares_nothing() -> None:
    all_of_it = rule(kind="borrowed", path="body")
    del all_of_it["to"]
    book = RuleBook(parse_rules([all_of_it]), candidate="native")
    got = Observation("s#1", ROUTE, NOW, of({"body": {"id": "b"}}))
    (difference,) = Differ(book).compare(of({"body": {"id": "a"}}), got).differences
    assert difference.why == "nothing was compared"


@pytest.mark.parametrize(
    ("each", "wrong"),
    [
        ("[]", "names no case"),
        ("{n: []}", "names no case"),
        ("{n: [1, 2], m: [3]}", "gives m, which the step does not use"),
        ("[{n: 1}, {m: 2}]", "gives m, which the step does not use"),
        ("{n: [1, 2], sample: 3}", "has 2 combinations, of which 3 cannot be taken"),
    ],
)
def test_each_drops_no_case_silently(tmp_path: Path, each: str, wrong: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"about: x\nhome: empty\nsteps:\n  - send: GET /api/memories?limit=${{n}}\n    each: {each}\n")
    with pytest.raises(ScenarioError, match=wrong):
        load(path, tmp_path)


def sampled(folder: Path, seed: int, more: str = "") -> list[str]:
    path = folder / "a.yaml"
    each = "{n: [1, 2, 3, 4, 5], m: [1, 2, 3, 4, 5], sample: 6}"
    path.write_text(f"about: x\nhome: empty\n{more}steps:\n  - send: GET /a?${{n}}${{m}}\n    each: {each}\n")
    return [send.target for send in load(path, folder, seed).sends()]


def test_a_sample_follows_the_seed_only_where_nothing_is_recorded(tmp_path: Path) -> None:
    assert sampled(tmp_path, 1) == sampled(tmp_path, 2)
    assert sampled(tmp_path, 1, "live_only: true\n") != sampled(tmp_path, 2, "live_only: true\n")


def test_a_block_of_steps_repeats_with_its_values(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "about: x\nhome: empty\nsteps:\n  - steps:\n      - {write_file: a.md, text: '${t}'}\n"
        "      - send: GET /api/config\n        as: '${t}'\n    each: {t: [a, b]}\n"
    )
    steps = load(path, tmp_path).steps
    assert [step.text for step in steps if isinstance(step, WriteFile)] == ["a", "b"]
    assert [step.number for step in steps if isinstance(step, Send)] == [1, 2]


def test_a_recording_is_bound_to_the_configuration_that_its_scenario_names() -> None:
    named = {corpus.binding(scenario(config=name)) for name in (None, "quiet", "ollama", "openai")}
    assert len(named) == 4


def test_a_deadline_a_minute_ahead_is_not_one_that_is_over() -> None:
    expected = of({"body": {"expiresAt": "«#s/integer:now+60»"}})
    assert differences(expected, of({"body": {"expiresAt": 1_800_000_060}}))[0] == []
    assert differences(expected, of({"body": {"expiresAt": 1_800_000_000}}))[0] == ["body.expiresAt"]


def test_evidence_names_what_is_imported_when_asked_for(tmp_path: Path) -> None:
    for name, text in {"g/__init__": 'x = lazily("native_routes.late", "f")', "late": "", "other": ""}.items():
        path = tmp_path / "native_routes" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert list(imported_modules("g", tmp_path)) == ["native_routes/g/__init__.py", "native_routes/late.py"]


def test_evidence_names_what_a_handler_is_given_by_the_process(tmp_path: Path) -> None:
    for name, text in {"g/__init__": "", "g/handlers": "request.context.writer.run(work)", "writer": ""}.items():
        path = tmp_path / "native_routes" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert "native_routes/writer.py" in imported_modules("g", tmp_path)


def test_every_part_of_a_context_that_evidence_names_is_there() -> None:
    assert all(importlib.import_module(module) for module in PROVIDED.values())
    assert all(hasattr(Services, attribute) or attribute in Services.__annotations__ for attribute in PROVIDED)


def test_a_run_that_compared_nothing_proves_nothing() -> None:
    assert not Outcome("corpus", "native", []).holds
    assert not Outcome("corpus", "native", [ScenarioOutcome("a", left_out="not native yet")]).holds


def scenario(**fields: object) -> Scenario:
    send = Send(1, "GET /health", "GET", "/health")
    base = Scenario("here/health", "A probe.", "empty", (send,), (), "digest")
    return replace(base, **fields)  # type: ignore[arg-type]  # a test's own fields


def test_a_candidate_that_is_not_there_fails(tmp_path: Path) -> None:
    with pytest.raises(SideError, match="no such daemon"):
        side_kind(str(tmp_path / "daemon.js"))


def test_a_candidate_that_does_not_start_fails_its_scenarios(tmp_path: Path) -> None:
    broken = tmp_path / "daemon.ts"
    broken.write_text("process.exit(3)")
    outcome = held_against({}, scenario(), SideKind("broken", daemon_path=broken))
    assert "ended while starting" in outcome.problems[0]
    assert not outcome.holds


def test_a_recorded_case_that_is_not_asked_any_more_fails() -> None:
    expected = {"here/health#7": of({"status": 200})}
    outcome = held_against(expected, scenario(), side_kind("legacy_ts"))
    assert "here/health#7: recorded, but the candidate was not asked" in outcome.problems
    assert [one.differences[0].why for one in outcome.comparisons] == ["the recording lacks this case"] * 2


def test_a_scenario_without_a_recording_fails(tmp_path: Path) -> None:
    assert "has no recording" in replay(scenario(), side_kind("legacy_ts"), tmp_path).problems[0]


def test_a_recording_of_another_text_of_the_scenario_fails(tmp_path: Path) -> None:
    recording = corpus.Recording("here/health", corpus.binding(scenario()), "0.58.1", {})
    corpus.write(recording, tmp_path)
    assert corpus.read(scenario(), tmp_path) == recording
    with pytest.raises(corpus.CorpusError, match="changed since it was recorded"):
        corpus.read(scenario(digest="another"), tmp_path)


def test_every_table_of_the_schema_is_classed_once() -> None:
    home = build.build("empty", 0)
    with home.lock:
        names = {name for (name,) in home.database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert schema_classes.unclassed(names) == set()
    classes = [*schema_classes.ROWS, *schema_classes.FTS, *schema_classes.VECTORS, *schema_classes.IGNORED]
    assert len(classes) == len(set(classes))
    assert set(classes) == names


def test_an_unclassed_table_fails(tmp_path: Path) -> None:
    database = sqlite.open_database(tmp_path / "memories.db")
    database.execute("CREATE TABLE stranger (id)")
    with pytest.raises(snapshot.UnclassedTable, match="stranger"):
        snapshot.take(database)
    database.close()


def evidence_of_health() -> dict[str, object]:
    return {
        "group": "health",
        "contract": "0.58.1",
        "schema_version": 30,
        "corpus_digest": "c",
        "modules": imported_modules("health"),
        "comparisons": 300,
        "differences": 0,
    }


def test_evidence_holds_for_the_code_it_was_made_with() -> None:
    assert stale(evidence_of_health(), "health", "c") == []
    json.dumps(evidence_of_health())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"corpus_digest": "d"}, "the corpus has changed"),
        ({"contract": "0.57.0"}, "contract 0.57.0, not 0.58.1"),
        ({"schema_version": 29}, "schema 29"),
        ({"differences": 2}, "2 differences"),
        ({"comparisons": 0}, "nothing was compared"),
        ({"group": "status"}, "it is for status"),
        ({"modules": {}}, "changed since: native_routes/"),
    ],
)
def test_evidence_for_anything_else_is_stale(change: dict[str, object], reason: str) -> None:
    assert stale(evidence_of_health() | change, "health", "c")[0].startswith(reason)


def test_a_declared_difference_may_hold_moving_values() -> None:
    declared = {"error": "slow down", "retryAfter": "«#ms/integer:now+60»"}
    expected, good = of({"body": {"id": "a"}}), of({"body": {"error": "slow down", "retryAfter": 1_800_000_060_000}})
    late = of({"body": {"error": "slow down", "retryAfter": 1_800_000_960_000}})
    assert differences(expected, good, rule(path="body", to=declared)) == ([], [])
    assert differences(expected, late, rule(path="body", to=declared))[0] == ["body"]


def test_odd_values_in_rows_are_shown_and_not_fatal(tmp_path: Path) -> None:
    home = build.build("empty", 0)
    build.clone(home, tmp_path / "home")
    database = sqlite.open_database(tmp_path / "home" / "memory" / "memories.db")
    before = snapshot.take(database)
    database.execute(
        "INSERT INTO memories (id, content, created_at, updated_at, who, importance) "
        "VALUES ('m', 'x', '', '', CAST(x'EDB080' AS TEXT), 9e999)"
    )
    changes = snapshot.changes(before, snapshot.take(database))
    database.close()
    text = stringify(changes)
    assert '"who":"\\udc00"' in text
    assert '"importance":"REAL inf"' in text
    assert parse(text) == changes


def test_a_rule_for_some_cases_holds_in_no_other() -> None:
    expected, got = of({"body": {"id": "a"}}), of({"body": {"id": "x"}})
    assert differences(expected, got, rule(cases=[1])) == ([], [])
    paths, problems = differences(expected, got, rule(cases=[2, 11]))
    assert paths == ["body.id"]
    assert "in cases 2, 11: unanchored" in problems[0]
