"""The benchmark runs and says what it found. How fast anything is, is not tested: that depends on the machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxy.legacy.find import CHECKOUT_PATH
from proxy.legacy.processes import all_pids, environment_of
from scripts.benchmark.rows import Budget, Row, ratio, table

TINY = {"seconds": 0.1, "rounds": 1, "starts": 1, "idle": 0.1, "events": 5, "clients": 5, "generator": "own"}
DEADLINE_S = 60


@contextmanager
def bench(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`scripts/bench forward` without its shell front, its temporary folders below `folder`."""
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(folder)}
    command = (sys.executable, "-m", "scripts.benchmark", "forward", *arguments)
    with subprocess.Popen(
        command, cwd=CHECKOUT_PATH, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def started_below(folder: Path) -> list[int]:
    """Processes whose HOME the benchmark made; [] where the system does not tell."""
    return [pid for pid in all_pids() if environment_of(pid).get("HOME", "").startswith(str(folder))]


def words(extent: dict[str, Any]) -> list[str]:
    return [word for name, value in extent.items() for word in (f"--{name}", str(value))]


def test_a_tiny_run_measures_every_row_and_leaves_nothing_behind(tmp_path: Path) -> None:
    json_path = tmp_path / "rows.json"
    with bench(tmp_path, *words(TINY), "--json", str(json_path)) as process:
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, output + errors
    assert started_below(tmp_path) == []
    rows = {row["work"]: row for row in json.loads(json_path.read_text())["rows"]}
    assert len(rows) >= 14
    for work, row in rows.items():
        assert row["measured"] is not None or "nginx is not installed" in row["verdict"], work
        for side, figures in row["sides"].items():
            assert len(figures) == 1, (work, side)
            assert all(0 < figure < 1e9 for figure in figures), (work, side, figures)
    for text in ("load average before", "legacy_ts (the stand-in)", *rows):
        assert text in output


def test_ctrl_c_ends_everything_that_was_started(tmp_path: Path) -> None:
    with bench(tmp_path, *words(TINY | {"seconds": 30})) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "GET, 1 connection" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode != 0
    assert started_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_figure_outside_its_budget_is_told_by_how_much() -> None:
    assert Row("w", "ms", 0.25, Budget(0.2)).verdict == "MISSES by 0.05 ms"
    assert Row("w", "x", 0.625, Budget(0.5, at_most=False)).verdict == "meets by 0.125 x"


def test_a_missing_figure_is_never_judged_and_fails_only_when_asked_for() -> None:
    without_nginx = ratio("w", {"direct": [2.0], "proxy": [1.0]}, "", "nginx", Budget(0.5))
    failed = Row("w", "ms", None, Budget(1.0), missing="it did not start")
    assert without_nginx.verdict == "missing: nginx is not installed"
    assert not without_nginx.failed
    assert failed.failed
    assert "meets" not in "\n".join(table([without_nginx, failed]))
