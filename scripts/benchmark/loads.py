"""Rows of requests and replies: latency on one connection, requests per second on many, bytes per second, stalls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median

from scripts.benchmark.extent import Bench
from scripts.benchmark.load import Load, Loaded
from scripts.benchmark.rows import Budget, Rounds, Row, added, ratio
from scripts.benchmark.running import cpu_s
from scripts.benchmark.stalls import NO_STALL_MS, gaps_under, stall_row
from scripts.benchmark.targets import FORWARDED

ADDED_P50 = Budget(0.20)
ADDED_P99 = Budget(1.0)
HALF_OF_NGINX = Budget(0.5, at_most=False)

MANY = 64
BIG_BYTES = 1_048_576
GET = Load(1, FORWARDED)
# A query is missing: legacy reads and parses the whole body, and then neither searches nor writes anything.
POST_1_KIB = Load(1, "/api/memory/recall", "POST", '{"project": "' + "x" * 1009 + '"}', status=400)
WORK = {GET: "GET", POST_1_KIB: "POST 1 KiB"}


def latency_rows(bench: Bench, load: Load) -> list[Row]:
    """p50 and p99 on one connection, and what the proxy adds. Budgets are for GET."""
    results = bench.in_turns(load)
    p50, p99 = _rounds(results, lambda one: one.p50_ms), _rounds(results, lambda one: one.p99_ms)
    budgets = (ADDED_P50, ADDED_P99) if load is GET else (None, None)
    work = f"{WORK[load]}, 1 connection"
    return [
        added(f"{work}: p50, added", p50, budgets[0], _nginx_adds(p50)),
        added(f"{work}: p99, added", p99, budgets[1], _nginx_adds(p99)),
    ]


def capacity_rows(bench: Bench, load: Load) -> list[Row]:
    """Requests per second on 64 connections, as a share of what nginx does in the same rounds."""
    before = {name: cpu_s(pid) for name, pid in bench.site.pids.items()}
    results = bench.in_turns(replace(load, connections=MANY))
    cpu = {name: cpu_s(pid) - before[name] for name, pid in bench.site.pids.items()}
    per_s = _rounds(results, lambda one: one.per_s)
    work = f"{WORK[load]}, {MANY} connections"
    p99 = _rounds(results, lambda one: one.p99_ms)
    rows = [
        ratio(f"{work}: req/s, of nginx", per_s, "", "nginx", HALF_OF_NGINX, _cpu_per_request(results, cpu)),
        added(f"{work}: p99, added", p99, note=_nginx_adds(p99)),
    ]
    if load is GET:
        rows.append(_ceiling(results["direct"]))
    return rows


def _ceiling(direct: Sequence[Loaded]) -> Row:
    """What the generator could ask for if it had one processor to itself: whether it was the limit."""
    share = median(one.cpu_share for one in direct)
    rate = median(one.per_s for one in direct)
    note = f"it used {share:.0%} of one processor to ask legacy for {rate:,.0f} req/s directly"
    return Row("load generator: its own ceiling", "req/s", rate / max(share, 0.01), note=note)


def _cpu_per_request(results: Mapping[str, Sequence[Loaded]], cpu: Mapping[str, float]) -> str:
    """What noise on the machine changes least. The round that is not counted makes it a little high."""
    answered = {side: sum(one.requests for one in ones) for side, ones in results.items()}
    answered["legacy"] = sum(answered.values())  # it stands behind every side
    shown = ", ".join(f"{name} {used * 1e6 / answered[name]:.0f} us" for name, used in sorted(cpu.items()))
    return f"processor time per request: {shown}"


def throughput_rows(bench: Bench) -> list[Row]:
    """Bytes per second of 1 MiB replies on 4 connections: legacy lists its config files, one of which is big."""
    (bench.site.home_path / "BIG.md").write_text("x" * BIG_BYTES)
    results = bench.in_turns(Load(4, "/api/config"))
    rounds = _rounds(results, lambda one: one.mb_per_s)
    return [ratio("1 MiB replies, 4 connections: MB/s, of nginx", rounds, "", "nginx")]


def stall_rows(bench: Bench) -> list[Row]:
    """The longest that /health/live had to wait while 64 connections load the proxy."""
    load = replace(GET, connections=MANY)
    gaps: list[float] = []
    for _ in range(bench.extent.rounds):
        gaps += gaps_under(lambda: bench.load(load, "proxy"), bench.site.ports["proxy"])
    return [stall_row("event loop: longest gap under load", gaps, NO_STALL_MS)]


def _rounds(results: Mapping[str, Sequence[Loaded]], figure: Callable[[Loaded], float]) -> Rounds:
    return {side: [figure(one) for one in ones] for side, ones in results.items()}


def _nginx_adds(rounds: Rounds) -> str:
    if "nginx" not in rounds:
        return ""
    adds = median(ours - theirs for ours, theirs in zip(rounds["nginx"], rounds["direct"], strict=True))
    return f"nginx adds {adds:.3f} ms"
