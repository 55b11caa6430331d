"""Rows of a contest: requests per second, latencies, processor time and memory, native against legacy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import median

from scripts.benchmark.contests import LoadKind
from scripts.benchmark.duel import Turns
from scripts.benchmark.rows import Budget, Rounds, Row, quotient
from scripts.benchmark.running import get, pss_mb, rss_mb
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


def memory_rows(title: str, sides: Sequence[Side], fresh_mb: Mapping[str, float]) -> list[Row]:
    """Memory of each side after the loads, and what native says of the vectors in its own."""
    pss = {side.name: [pss_mb(side.pid)] for side in sides}
    notes = [f"{side.name}: RSS {rss_mb(side.pid):.0f} MB" for side in sides]
    notes += [f"{name} before its first request {value:.0f}" for name, value in fresh_mb.items()]
    notes += [_vectors(side) for side in sides if side.name == NATIVE]
    return [_of_legacy(f"{title}: memory (PSS)", pss, "MB", None, "; ".join(notes))]


def _vectors(native: Side) -> str:
    told = json.loads(get(native.port, "/_proxy/status"))["vectors"]
    if told is None:
        return "no vectors in memory"
    kept = f"as {told['form']} {told['memory_bytes'] / 1e6:.0f} MB of native's" if told["form"] else told["mode"]
    return f"{told['vectors']:,} vectors {kept}" + (f" ({told['reason']})" if told["reason"] else "")


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
