"""Rows of a contest: requests per second, latencies, processor time and memory, native against legacy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from scripts.benchmark.contests import LoadKind
from scripts.benchmark.duel import Turns
from scripts.benchmark.homes.meaning import DIMENSIONS
from scripts.benchmark.rows import Budget, Rounds, Row, quotient
from scripts.benchmark.running import pss_mb, rss_mb
from scripts.benchmark.sides import LEGACY, NATIVE, Side
from scripts.benchmark.targets import Daemon


def load_rows(title: str, load: LoadKind, turns: Turns, daemon: Daemon, memories: int) -> list[Row]:
    """Requests per second and percentiles."""
    work = f"{title}, {load.name}"
    per_s, p99 = (daemon.budget(budgets.get(memories)) for budgets in (load.per_s, load.p99))
    rows = [_of_legacy(f"{work}: req/s", turns.per_s(), "", per_s, _about(turns))]
    for percent in load.percentiles:
        figures = turns.percentiles(percent)
        budget = p99 if percent == 99 else None
        rows.append(_of_legacy(f"{work}: p{percent}", figures, "ms", budget, ""))
    return rows


def memory_rows(title: str, sides: Sequence[Side], fresh_mb: Mapping[str, float], memories: int) -> list[Row]:
    """Memory of each side after the loads, of native less the vectors that it holds."""
    matrix_mb = memories * DIMENSIONS * 4 / 1e6
    pss = {side.name: [pss_mb(side.pid)] for side in sides}
    notes = [f"{side.name}: RSS {rss_mb(side.pid):.0f} MB" for side in sides]
    notes += [f"{name} before its first request {value:.0f}" for name, value in fresh_mb.items()]
    notes.append(f"{memories:,} vectors as float32 would be {matrix_mb:.0f} MB of native's")
    return [_of_legacy(f"{title}: memory (PSS)", pss, "MB", None, "; ".join(notes))]


def _of_legacy(work: str, figures: Rounds, unit: str, budget: Budget | None, note: str) -> Row:
    if NATIVE not in figures:
        return Row(work, "x", None, budget, figures, unit, note, missing="no native side")
    return Row(work, "x", quotient(figures, NATIVE, LEGACY), budget, figures, unit, note)


def _about(turns: Turns) -> str:
    """How much was asked, and what it cost: processor time is what noise on the machine changes least."""
    shown = []
    for side, loads in turns.asked.items():
        count = turns.requests(side)
        empty = sum(one.empty for one in loads) / count
        generator = median(one.cpu_s / one.duration_s for one in loads)
        shown.append(
            f"{side} {count:,} requests, {turns.cpu_ms(side):.2f} ms processor time each"
            + (f", {empty:.0%} without a result" if empty else "")
            + f", load generator {generator:.0%} of a processor"
        )
    return "; ".join(shown)
