"""The command line of `scripts/bench`."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click

from proxy.legacy.find import LegacyNotFound
from proxy.settings import process_environment
from scripts.benchmark import load, machine
from scripts.benchmark.extent import Extent
from scripts.benchmark.forward import Forwarding
from scripts.benchmark.rows import MeasurementError, Row, table
from scripts.benchmark.targets import Daemon

DEFAULTS = Extent()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def main() -> None:
    """Measure the proxy beside what it stands in front of. Speed is never a failure; a missing figure is."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> NoReturn:
    """As Ctrl-C: everything that was started is ended on the way out."""
    raise KeyboardInterrupt


@main.command()
@click.option("--legacy-daemon", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its daemon.js; "
              "default SIGNET_LEGACY_DAEMON, else legacy_ts.")  # fmt: skip
@click.option("--seconds", default=DEFAULTS.seconds, show_default=True, help="Of one load on one side in one round.")
@click.option("--rounds", default=DEFAULTS.rounds, show_default=True, help="Each side takes its turn in every round.")
@click.option("--starts", default=DEFAULTS.starts, show_default=True, help="Starts of each side.")
@click.option(
    "--idle", "idle_s", default=DEFAULTS.idle_s, show_default=True, help="Seconds before idle memory is read."
)
@click.option("--events", default=DEFAULTS.events, show_default=True, help="Server-sent events in one round.")
@click.option("--clients", default=DEFAULTS.clients, show_default=True, help="Idle event streams.")
@click.option("--generator", type=click.Choice(["auto", "wrk", "own"]), default="auto", help="What makes the load.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Also write this file.")
@click.pass_context
def forward(
    ctx: click.Context, /, legacy_daemon: Path | None, generator: str, json_path: Path | None, **extent: float
) -> None:
    """Forwarding: latency, requests per second, streams, memory and start, each against its budget."""
    measured = Extent(**extent)  # type: ignore[arg-type]  # click has made each the type of its default
    try:
        name, generate = load.choose(generator, measured.seconds)
        daemon = Daemon.choose(legacy_daemon or _daemon_of_environment())
    except (MeasurementError, LegacyNotFound) as error:
        raise click.ClickException(str(error)) from error
    about = machine.describe() | {
        "legacy": "legacy_ts (the stand-in)" if daemon.is_stand_in else str(daemon.path),
        "proxy": "supervised: it runs the legacy that all sides are measured with",
        "load generator": name,
    }
    rows = Forwarding(daemon, measured, generate, lambda work: click.echo(f"... {work}", err=True)).rows()
    about["load average after"] = machine.load_average()
    _report(about, rows, json_path)
    ctx.exit(1 if any(row.failed for row in rows) else 0)


def _daemon_of_environment() -> Path | None:
    chosen = process_environment().get("SIGNET_LEGACY_DAEMON")
    return Path(chosen) if chosen else None


def _report(about: dict[str, str], rows: list[Row], json_path: Path | None) -> None:
    width = max(map(len, about))
    click.echo("\n".join(f"{key:{width}}  {value}" for key, value in about.items()))
    click.echo("\n" + "\n".join(table(rows)))
    if about["nginx"] == "not installed":
        click.echo("\nnginx is not installed: what is measured against it is missing, and no budget of it is met.")
    if json_path is not None:
        json_path.write_text(json.dumps({"about": about, "rows": [row.as_json() for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
