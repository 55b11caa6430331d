"""`scripts/parity`: record, replay, live, explain, certify, list. Says what happened; the work is done elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from parity_tests.harness import compare, corpus, html_report, report
from parity_tests.harness.certify import NotProven, group_named
from parity_tests.harness.certify import certify as certify_group
from parity_tests.harness.evidence import EVIDENCE_PATH
from parity_tests.harness.explain import explain as explain_case
from parity_tests.harness.outcome import Outcome
from parity_tests.harness.record import record as record_one
from parity_tests.harness.scenario import Scenario
from parity_tests.harness.scenario_file import SCENARIOS_PATH, USUAL_SEED, ScenarioError, load, names_in
from parity_tests.harness.scope import left_out, routes_of
from parity_tests.harness.side import SideError, SideKind, side_kind


class _Side(click.ParamType[SideKind]):
    name = "side"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> SideKind:
        try:
            return side_kind(str(value))
        except SideError as error:
            self.fail(str(error), param, ctx)


SIDE = _Side()
legacy_option = click.option(
    "--legacy", "--legacy-daemon", type=SIDE, required=True, help="daemon.js path, legacy_ts or URL."
)
candidate_option = click.option(
    "--candidate", type=SIDE, default="legacy_ts", show_default=True, help="legacy_ts, native, a path or a URL."
)
jobs_option = click.option(
    "--jobs",
    type=int,
    default=3 * (os.cpu_count() or 2),
    show_default=True,
    help="Scenarios at a time; they mostly wait.",
)
Reports = tuple[Path | None, Path | None, Path | None]
_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
names_argument = click.argument("names", nargs=-1)


def report_options(command: Callable[..., None]) -> Callable[..., None]:
    for name, meaning in (("html", "One page for people."), ("junit", "XML for CI."), ("json", "For programs.")):
        command = click.option(f"--{name}", f"{name}_path", type=_FILE, help=meaning)(command)
    return click.option("--brief", is_flag=True, help="One line for each case that differs, and the verdict.")(command)


def reports_of(paths: Mapping[str, Path | None]) -> Reports:
    return paths["json_path"], paths["junit_path"], paths["html_path"]


@click.group()
def main() -> None:
    """Compares what a candidate answers and changes with what the legacy daemon does."""


@main.command()
@names_argument
@legacy_option
@jobs_option
def record(names: tuple[str, ...], legacy: SideKind, jobs: int) -> None:
    """Run scenarios against a legacy, twice, and write its answers to the corpus."""
    with ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(lambda scenario: recorded_one(scenario, legacy), recorded(chosen(names))))
    sys.exit(not all(done))


def recorded_one(scenario: Scenario, legacy: SideKind) -> bool:
    """Whether a recording was written."""
    try:
        settled = record_one(scenario, legacy)
    except compare.CANNOT_RUN as error:
        click.echo(f"FAIL {scenario.name}: {type(error).__name__}: {error}")
        return False
    for problem in settled.problems:
        click.echo(f"FAIL {problem}")
    if settled.problems:
        return False
    path = corpus.write(settled.recording)
    cases = len(settled.recording.cases) - 1
    click.echo(f"recorded {scenario.name}: {cases} answers, {settled.moved} moving fields, {path.stat().st_size} bytes")
    return True


@main.command()
@names_argument
@candidate_option
@jobs_option
@report_options
def replay(names: tuple[str, ...], candidate: SideKind, jobs: int, brief: bool, **paths: Path | None) -> None:
    """Compare a candidate with the corpus."""
    finish(replayed(recorded(chosen(names)), candidate, jobs), reports_of(paths), brief=brief)


@main.command()
@names_argument
@legacy_option
@candidate_option
@jobs_option
@report_options
@click.option("--seed", type=int, default=USUAL_SEED, show_default=True, help="Chooses the samples of live_only ones.")
def live(
    names: tuple[str, ...],
    legacy: SideKind,
    candidate: SideKind,
    jobs: int,
    brief: bool,
    seed: int,
    **paths: Path | None,
) -> None:
    """Compare a candidate with a legacy that runs now."""
    finish(compared_live(chosen(names, seed), legacy, candidate, jobs), reports_of(paths), brief=brief)


@main.command()
@click.argument("case")
@candidate_option
@click.option("--legacy", "--legacy-daemon", type=SIDE, help="Compare with this one as it runs, not with the corpus.")
def explain(case: str, candidate: SideKind, legacy: SideKind | None) -> None:
    """Show the first difference of one case (memories/list#3), cut down to where the texts part."""
    (scenario,) = chosen((case.rpartition("#")[0],))
    outcome = compare.live(scenario, legacy, candidate) if legacy else compare.replay(scenario, candidate)
    for line in explain_case(outcome, case):
        click.echo(line)
    sys.exit(not outcome.holds)


@main.command()
@click.argument("group")
@jobs_option
@click.option("--legacy", "--legacy-daemon", type=SIDE, help="Also compare live; needed where the corpus is too small.")
def certify(group: str, jobs: int, legacy: SideKind | None) -> None:
    """Write evidence for a group, when every route, refusal and threshold is met and nothing differs."""
    native = side_kind("native")
    if legacy is not None and not legacy.owns_home:
        raise click.ClickException("evidence needs a legacy whose rows and files are seen: give a daemon, not a URL")
    try:
        declared = group_named(group)
        scenarios = scenarios_of(group)
        outcomes = [replayed(recorded(scenarios), native, jobs)]
        if legacy is not None:
            outcomes.append(compared_live(scenarios, legacy, native, jobs))
        evidence = certify_group(declared, outcomes, corpus_digest_of(group))
    except (NotProven, corpus.CorpusError) as error:
        raise click.ClickException(f"no evidence is written.\n{error}") from error
    EVIDENCE_PATH.mkdir(exist_ok=True)
    path = EVIDENCE_PATH / f"{group}.json"
    path.write_text(evidence.text(), encoding="utf-8")
    click.echo(f"{path}: {evidence.comparisons:,} comparisons, no difference; 95 % bound {evidence.bound_95:.2%}")


def scenarios_of(group: str) -> list[Scenario]:
    return [one for one in chosen(()) if group in {name for name, _ in routes_of(one)}]


def corpus_digest_of(group: str) -> str:
    """Digest of all recordings in which a route of the group is asked."""
    return corpus.digest_of(corpus.read(one) for one in recorded(scenarios_of(group)))


def replayed(scenarios: list[Scenario], candidate: SideKind, jobs: int) -> Outcome:
    return compare.run_all(scenarios, lambda one: compare.replay(one, candidate), "the corpus", candidate.name, jobs)


def compared_live(scenarios: list[Scenario], legacy: SideKind, candidate: SideKind, jobs: int) -> Outcome:
    return compare.run_all(
        scenarios, lambda one: compare.live(one, legacy, candidate), legacy.name, candidate.name, jobs
    )


def recorded(scenarios: list[Scenario]) -> list[Scenario]:
    """Those that have a place in the corpus."""
    return [scenario for scenario in scenarios if not scenario.live_only]


@main.command("list")
@names_argument
def list_scenarios(names: tuple[str, ...]) -> None:
    """Scenarios, how many cases they have, and for whom they are."""
    for scenario in chosen(names):
        groups = ", ".join(sorted({group for group, _ in routes_of(scenario) if group}))
        out = "; ".join(f"{side}: {reason}" for side in ("legacy_ts", "native") if (reason := left_out(scenario, side)))
        click.echo(f"{scenario.name}: {len(scenario.sends())} requests to {groups}" + (f" [{out}]" if out else ""))


def chosen(names: tuple[str, ...], seed: int = USUAL_SEED) -> list[Scenario]:
    """Scenarios by name, by folder, or all. Exits when a name is unknown or a chosen file is bad."""
    known = names_in()
    wanted = [name.removeprefix("parity_tests/scenarios/").removesuffix(".yaml").rstrip("/") for name in names]
    for name in wanted:
        if not any(_is(name, one) for one in known):
            raise click.ClickException(f"no scenario {name}; there are {', '.join(known)}")
    picked = [one for one in known if not wanted or any(_is(name, one) for name in wanted)]
    try:
        return [load(SCENARIOS_PATH / f"{one}.yaml", seed=seed) for one in picked]
    except ScenarioError as error:
        raise click.ClickException(str(error)) from error


def _is(name: str, scenario: str) -> bool:
    return scenario == name or scenario.startswith(f"{name}/")


def finish(outcome: Outcome, reports: Reports, *, brief: bool = False) -> None:
    """Print, write the reports, and exit with 1 unless parity holds."""
    for line in (report.brief if brief else report.terminal)(outcome):
        click.echo(line)
    for path, write in ((reports[0], report.as_json), (reports[1], report.as_junit), (reports[2], html_report.page)):
        if path is not None:
            path.write_text(write(outcome), encoding="utf-8")
    sys.exit(not outcome.holds)


if __name__ == "__main__":
    main()
