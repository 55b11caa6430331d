"""`scripts/bench forward`: the proxy beside legacy itself and nginx, the sides taking turns in every round."""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from scripts.benchmark import streams
from scripts.benchmark.load import Generator, Load, Loaded
from scripts.benchmark.rows import SIDES, Budget, MeasurementError, Row, added, ratio
from scripts.benchmark.running import Running, cpu_s, rss_mb
from scripts.benchmark.start_time import start_rows
from scripts.benchmark.targets import (
    FORWARDED,
    HEALTH,
    Daemon,
    Place,
    Site,
    legacy_alone,
    legacy_behind,
    nginx,
    supervising_proxy,
    worker_of,
)

ADDED_P50 = Budget(0.20)
ADDED_P99 = Budget(1.0)
HALF_OF_NGINX = Budget(0.5, at_most=False)
IDLE_RSS = Budget(0.7)
STALL_MS = Budget(100.0)

MANY = 64
BIG_BYTES = 1_048_576
# A query is missing: legacy reads and parses the whole body, and then neither searches nor writes anything.
POSTED = '{"project": "' + "x" * 1008 + '"}'
GET = Load(1, FORWARDED)
POST = Load(1, "/api/memory/recall", "POST", POSTED, status=400)
PROBE_PACE_S = 0.010


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured. `seconds` is one load on one side in one round."""

    seconds: float = 2.0
    rounds: int = 5
    starts: int = 5
    idle_s: float = 10.0
    events: int = 200  # in each round
    clients: int = 500


class Forwarding:
    """One run. `say` hears what is being measured."""

    def __init__(self, daemon: Daemon, extent: Extent, generator: Generator, say: Callable[[str], None]) -> None:
        self._daemon = daemon
        self._extent = extent
        self._generate = generator
        self._say = say

    def rows(self) -> list[Row]:
        """Every row of this benchmark; what fails is a row too."""
        with tempfile.TemporaryDirectory(prefix="signet-bench-") as name:
            alone, fronted = Place(Path(name) / "alone"), Place(Path(name) / "fronted")
            start = self._section("start", lambda: self._start(alone, fronted))
            return [*self._section("forwarding", lambda: self._serving(alone, fronted)), *start]

    def _section(self, work: str, measure: Callable[[], list[Row]]) -> list[Row]:
        self._say(work)
        try:
            return measure()
        except MeasurementError as error:
            return [Row(work, "", None, missing=str(error))]

    def _start(self, alone: Place, fronted: Place) -> list[Row]:
        with legacy_alone(self._daemon, alone) as legacy:  # migrates; so does the next one
            legacy.until_200(HEALTH)
        with supervising_proxy(self._daemon, fronted) as proxy:
            proxy.until_200(FORWARDED)
        return start_rows(self._daemon, alone, fronted, self._extent.starts)

    def _serving(self, alone: Place, fronted: Place) -> list[Row]:
        with supervising_proxy(self._daemon, fronted) as proxy:
            proxy.until_200(FORWARDED)
            idle = self._section("idle memory", lambda: self._idle(proxy, alone))
            with self._site(proxy, fronted) as site:
                return [
                    *self._section("GET, 1 connection", lambda: self._latency(site, "GET, 1 connection", GET, True)),
                    *self._section("POST, 1 connection", lambda: self._latency(site, POST_WORK, POST, False)),
                    *self._section("GET, 64 connections", lambda: self._capacity(site, "GET", GET)),
                    *self._section("POST, 64 connections", lambda: self._capacity(site, "POST 1 KiB", POST)),
                    *self._section("1 MiB replies", lambda: self._throughput(site)),
                    *self._section("event-loop stalls", lambda: self._stalls(site)),
                    *self._section("events", lambda: self._events(site)),
                    *self._section("idle event streams", lambda: self._idle_clients(site)),
                    *idle,
                ]
