"""The command line of `scripts/bench`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from native_routes.searching.vector_form import VectorForm
from proxy.legacy.find import LegacyNotFound
from proxy.settings import process_environment
from scripts.benchmark import load, machine
from scripts.benchmark.extent import Extent
from scripts.benchmark.forward import Forwarding
from scripts.benchmark.rows import SIDES, MeasurementError, Row, table
from scripts.benchmark.targets import Daemon

DEFAULTS = Extent()
Command = Callable[..., Any]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def main() -> None:
    """Measure the proxy beside what it stands in front of. Speed is never a failure; a missing figure is."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> NoReturn:
    """As Ctrl-C: everything that was started is ended on the way out."""
    raise KeyboardInterrupt


def legacy_and_report(command: Command) -> Command:
    """The options that every benchmark has."""
    daemon = click.option(
        "--legacy-daemon",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Its daemon.js; default SIGNET_LEGACY_DAEMON, else legacy_ts.",
    )
    report = click.option(
        "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Also write this file."
    )
    return daemon(report(command))


@main.command()
@legacy_and_report
@click.option("--seconds", default=DEFAULTS.seconds, show_default=True, help="Of one load on one side in one round.")
@click.option("--rounds", default=DEFAULTS.rounds, show_default=True, help="Each side takes its turn in every round.")
@click.option("--starts", default=DEFAULTS.starts, show_default=True, help="Starts of each side.")
@click.option(
    "--idle", "idle_s", default=DEFAULTS.idle_s, show_default=True, help="Seconds before idle memory is read."
)
@click.option("--events", default=DEFAULTS.events, show_default=True, help="Server-sent events in one round.")
@click.option("--clients", default=DEFAULTS.clients, show_default=True, help="Idle event streams.")
@click.option("--generator", type=click.Choice(["auto", "wrk", "own"]), default="auto", help="What makes the load.")
@click.pass_context
def forward(
    ctx: click.Context, /, legacy_daemon: Path | None, generator: str, json_path: Path | None, **extent: float
) -> None:
    """Forwarding: latency, requests per second, streams, memory and start, each against its budget."""
    measured = Extent(**extent)  # type: ignore[arg-type]  # click has made each the type of its default
    try:
        name, generate = load.choose(generator, measured.seconds)
    except MeasurementError as error:
        raise click.ClickException(str(error)) from error
    daemon = _daemon(legacy_daemon)
    about = machine.describe() | {
        "legacy": _name(daemon),
        "proxy": "supervised: it runs the legacy that all sides are measured with",
        "load generator": name,
    }
    rows = Forwarding(daemon, measured, generate, _say).rows()
    _report(about, rows, json_path, SIDES)
    if about["nginx"] == "not installed":
        click.echo("\nnginx is not installed: what is measured against it is missing, and no budget of it is met.")
    ctx.exit(1 if any(row.failed for row in rows) else 0)


def _daemon(chosen: Path | None) -> Daemon:
    of_environment = process_environment().get("SIGNET_LEGACY_DAEMON")
    try:
        return Daemon.choose(chosen or (Path(of_environment) if of_environment else None))
    except LegacyNotFound as error:
        raise click.ClickException(str(error)) from error


def _name(daemon: Daemon) -> str:
    return "legacy_ts (the stand-in)" if daemon.is_stand_in else str(daemon.path)


def _say(work: str) -> None:
    click.echo(f"... {work}", err=True)


def _report(about: dict[str, str], rows: Sequence[Row], json_path: Path | None, sides: Sequence[str]) -> None:
    about["load average after"] = machine.load_average()
    width = max(map(len, about))
    click.echo("\n".join(f"{key:{width}}  {value}" for key, value in about.items()))
    click.echo("\n" + "\n".join(table(rows, sides)))
    if json_path is not None:
        json_path.write_text(json.dumps({"about": about, "rows": [row.as_json() for row in rows]}, indent=2) + "\n")


def _add_contest(name: str) -> None:
    """`recall`, `search`, `list`, `remember`, `modify` and `growth` have the same options."""

    @main.command(name, help=f"{_CONTEST_HELP[name]} Native against legacy, on copies of the same home, in turn.")
    @legacy_and_report
    @click.option(
        "--memories", type=click.IntRange(100), multiple=True, help="Size of a home; may be given repeatedly."
    )
    @click.option("--seconds", type=float, default=5.0, show_default=True, help="Of one load on one side in one round.")
    @click.option("--rounds", default=1 if name == "growth" else 5, show_default=True, help="Both sides in each round.")
    @click.option("--plain", is_flag=True, help="Homes without entities: nothing for graph and traversal.")
    @click.option("--vectors", type=click.Choice(list(VectorForm)), help="SIGNET_VECTORS of the native side.")
    @click.option(
        "--written-per-s", type=click.IntRange(1), help="Memories a second, in the rows of recall beside writes."
    )
    @click.option("--sample", default=40, show_default=True, help="Answers compared before, and again after the load.")
    @click.option(
        "--homes", "cache_path", type=click.Path(file_okay=False, path_type=Path), help="Where homes are kept."
    )
    @click.pass_context
    def command(
        ctx: click.Context,
        /,
        legacy_daemon: Path | None,
        json_path: Path | None,
        memories: tuple[int, ...],
        seconds: float,
        rounds: int,
        plain: bool,
        vectors: str | None,
        written_per_s: int | None,
        sample: int,
        cache_path: Path | None,
    ) -> None:
        # Imported late: `forward` needs neither numpy nor a database.
        from scripts.benchmark.contest_run import ContestRun
        from scripts.benchmark.contests import CONTESTS, recall
        from scripts.benchmark.duel import Pace
        from scripts.benchmark.homes.build import HomeSpec
        from scripts.benchmark.sides import BOTH

        contest, daemon = CONTESTS[name], _daemon(legacy_daemon)
        if name == "recall" and written_per_s is not None:
            contest = recall(written_per_s)
        native = {"SIGNET_VECTORS": vectors} if vectors else {}
        about = machine.describe() | {
            "legacy": _name(daemon),
            "native": "no evidence asked for; behind it a stand-in that answers nothing",
            "requests": "all different, except where a row says otherwise",
        }
        rows: list[Row] = []
        try:
            for size in memories or contest.sizes:
                spec = HomeSpec(size, plain=plain)
                run = ContestRun(contest, spec, daemon, Pace(seconds, rounds), sample, _say, cache_path, native)
                rows += run.rows()
        finally:  # after Ctrl-C too: a size takes minutes, and what was measured is worth having
            _report(about, rows, json_path, BOTH)
        ctx.exit(1 if any(row.failed for row in rows) else 0)


_CONTEST_HELP = {
    "recall": "POST /api/memory/recall: words and vectors together.",
    "search": "GET /memory/search: words only.",
    "list": "GET /api/memories.",
    "remember": "POST /api/memory/remember, with vectors.",
    "modify": "PATCH /api/memory/:id, of content and of tags, and DELETE.",
    "growth": "Recall on homes from 1,000 to 300,000 memories, each shortly.",
}
for _name_of_contest in _CONTEST_HELP:
    _add_contest(_name_of_contest)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
