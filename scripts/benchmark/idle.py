"""Rows of waiting: memory of an idle proxy, of many silent streams, and how late an event comes through."""

from __future__ import annotations

import time
from statistics import median

from scripts.benchmark.extent import Bench, Extent
from scripts.benchmark.rows import Budget, Row, added, ratio
from scripts.benchmark.running import Running, rss_mb
from scripts.benchmark.streams import event_delays_ms, idle_clients, percentile
from scripts.benchmark.targets import HEALTH, Daemon, Place, legacy_alone, legacy_behind

LESS_THAN_LEGACY = Budget(0.7)
SETTLE_S = 1.0


def memory_rows(daemon: Daemon, proxy: Running, alone: Place, extent: Extent) -> list[Row]:
    """Resident memory of a fresh proxy and of a fresh legacy, both idle on a small home."""
    with legacy_alone(daemon, alone) as legacy:
        legacy.until_200(HEALTH)
        time.sleep(extent.idle_s)
        rss = {"direct": [rss_mb(legacy.pid)], "proxy": [rss_mb(proxy.pid)]}
    behind = rss_mb(legacy_behind(proxy)[0])
    note = f"after {extent.idle_s:g} s idle; legacy behind the proxy: {behind:.1f} MB"
    return [ratio("idle RSS, of legacy", rss, "MB", "direct", daemon.budget(LESS_THAN_LEGACY), note)]


def event_rows(bench: Bench) -> list[Row]:
    """From an event at legacy to its arrival; the same events on all sides at once, another side first each round."""
    p50: dict[str, list[float]] = {side: [] for side in bench.site.ports}
    p99: dict[str, list[float]] = {side: [] for side in bench.site.ports}
    later: dict[str, list[float]] = {side: [] for side in bench.site.ports}
    for order in bench.turns():
        delays = event_delays_ms({side: bench.site.ports[side] for side in order}, bench.extent.events)
        for side, values in delays.items():
            p50[side].append(median(values))
            p99[side].append(percentile(values, 99))
            later[side] += [ours - direct for ours, direct in zip(values, delays["direct"], strict=True)]
    paired = ", ".join(
        f"{side} p50 {median(values):.3f}, p99 {percentile(values, 99):.3f} ms"
        for side, values in later.items()
        if side != "direct"
    )
    note = f"each event against the same one directly, {len(later['proxy'])} events: {paired}"
    return [added("server-sent event: p50, added", p50, note=note), added("server-sent event: p99, added", p99)]


def idle_clients_rows(bench: Bench) -> list[Row]:
    """What silent event streams add to the proxy's memory."""
    clients, pids = bench.extent.clients, bench.site.pids
    before, legacy_before = rss_mb(pids["proxy"]), rss_mb(pids["legacy"])
    with idle_clients(bench.site.ports["proxy"], clients):
        time.sleep(SETTLE_S)
        after, legacy_after = rss_mb(pids["proxy"]), rss_mb(pids["legacy"])
    note = f"{before:.1f} MB before, {after:.1f} MB with them; legacy {legacy_before:.1f} to {legacy_after:.1f} MB"
    per_client = (after - before) * 1e3 / clients
    return [Row(f"{clients} idle event streams: RSS of the proxy, each", "kB", per_client, note=note)]
