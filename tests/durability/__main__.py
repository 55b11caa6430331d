"""`scripts/durability ROUNDS`: write, kill -9, check, again and again; then the legacy daemon on what is left."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.durability.rounds import Rounds


@click.command()
@click.argument("rounds", type=click.IntRange(1))
@click.option("--processes", type=click.IntRange(1, 4), default=2, show_default=True, help="Writing at once.")
@click.option("--seed", default=1, show_default=True, help="Of texts and of the moments of the kills.")
@click.option("--rounds-per-home", default=50, show_default=True, help="Then a new home, so that checks stay quick.")
@click.option("--legacy-daemon", type=click.Path(exists=True, path_type=Path), help="Is started on each home's file.")
def main(rounds: int, processes: int, seed: int, rounds_per_home: int, legacy_daemon: Path | None) -> None:
    """Exit code 1 when an acknowledged write is lost, or something is there by halves."""
    began, answers, memories, left = time.monotonic(), 0, 0, rounds
    while left:
        with tempfile.TemporaryDirectory(prefix="signet-durability-") as name:
            some = min(left, rounds_per_home)
            home = Rounds(Path(name), processes, seed + left)
            for fault in home.run(some, say=lambda text: click.echo(text, err=True)):
                click.echo(fault)
                kept = shutil.copytree(name, Path(tempfile.gettempdir()) / f"signet-durability-fault-{seed + left}")
                click.echo(f"the home is kept in {kept}")
                sys.exit(1)
            if legacy_daemon is not None:
                _check_legacy(legacy_daemon, home)
            left -= some
            answers += home.ledger.entries
            memories += len(home.ledger.memories)
    took = time.monotonic() - began
    click.echo(
        f"{rounds} kills of {processes} processes in {took:.0f} s: {answers:,} answers and {memories:,} memories "
        "acknowledged, none lost, none half written"
    )


def _check_legacy(daemon_path: Path, home: Rounds) -> None:
    """The daemon boots on the file and counts the same memories; it is the only one to open it."""
    from scripts.benchmark.running import get
    from scripts.benchmark.targets import HEALTH, Daemon, Place, legacy_alone

    with tempfile.TemporaryDirectory(prefix="signet-durability-legacy-") as name:
        where = Place(Path(name))
        folder = where.home_path / "memory"
        folder.mkdir()
        for file in home.folder.glob("memories.db*"):
            shutil.copy(file, folder / file.name)
        with legacy_alone(Daemon.choose(daemon_path), where) as running:
            running.until_200(HEALTH)
            total = json.loads(get(running.port, "/api/memories?limit=1"))["stats"]["total"]
            for memory_id in list(home.ledger.memories)[:20]:
                history = json.loads(get(running.port, f"/api/memory/{memory_id}/history"))
                assert history["memoryId"] == memory_id
        assert total >= len(home.ledger.memories), f"legacy counts {total} of {len(home.ledger.memories)}"


if __name__ == "__main__":
    main()
