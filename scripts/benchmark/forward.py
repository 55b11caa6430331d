"""`scripts/bench forward`: the proxy beside legacy itself and nginx, the sides taking turns in every round."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.extent import Bench, Extent
from scripts.benchmark.idle import event_rows, idle_clients_rows, memory_rows
from scripts.benchmark.load import Generator
from scripts.benchmark.loads import GET, POST_1_KIB, capacity_rows, latency_rows, stall_rows, throughput_rows
from scripts.benchmark.rows import MeasurementError, Row
from scripts.benchmark.running import Running
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


@dataclass(frozen=True, slots=True)
class Forwarding:
    """One run. `say` hears what is being measured."""

    daemon: Daemon
    extent: Extent
    generate: Generator
    say: Callable[[str], None]

    def rows(self) -> list[Row]:
        """Every row of this benchmark; what could not be measured is a row too."""
        with tempfile.TemporaryDirectory(prefix="signet-bench-") as name:
            alone, fronted = Place(Path(name) / "alone"), Place(Path(name) / "fronted")
            start = self._section("start", lambda: self._start(alone, fronted))
            return [*self._section("forwarding", lambda: self._serving(alone, fronted)), *start]

    def _section(self, work: str, measure: Callable[[], list[Row]]) -> list[Row]:
        self.say(work)
        try:
            return measure()
        except (MeasurementError, OSError) as error:
            return [Row(work, "", None, missing=str(error))]

    def _start(self, alone: Place, fronted: Place) -> list[Row]:
        with legacy_alone(self.daemon, alone) as legacy:  # migrates; so does the next one
            legacy.until_200(HEALTH)
        with supervising_proxy(self.daemon, fronted) as proxy:
            proxy.until_200(FORWARDED)
        return start_rows(self.daemon, alone, fronted, self.extent.starts)

    def _serving(self, alone: Place, fronted: Place) -> list[Row]:
        with supervising_proxy(self.daemon, fronted) as proxy:
            proxy.until_200(FORWARDED)
            idle = self._section("idle memory", lambda: memory_rows(self.daemon, proxy, alone, self.extent))
            with _site(proxy, fronted) as site:
                bench = Bench(site, self.extent, self.generate)
                sections: dict[str, Callable[[], list[Row]]] = {
                    "GET, 1 connection": lambda: latency_rows(bench, GET),
                    "POST, 1 connection": lambda: latency_rows(bench, POST_1_KIB),
                    "GET, 64 connections": lambda: capacity_rows(bench, GET),
                    "POST, 64 connections": lambda: capacity_rows(bench, POST_1_KIB),
                    "1 MiB replies": lambda: throughput_rows(bench),
                    "event loop under load": lambda: stall_rows(bench),
                    "server-sent events": lambda: event_rows(bench),
                    "idle event streams": lambda: idle_clients_rows(bench),
                }
                served = [row for work, measure in sections.items() for row in self._section(work, measure)]
        return served + idle


@contextlib.contextmanager
def _site(proxy: Running, fronted: Place) -> Iterator[Site]:
    """The running proxy, the legacy behind it as the direct side, and nginx in front of that where it is installed."""
    legacy_pid, legacy_port = legacy_behind(proxy)
    ports = {"direct": legacy_port, "proxy": proxy.port}
    pids = {"legacy": legacy_pid, "proxy": proxy.pid}
    with contextlib.ExitStack() as running:
        server = nginx(legacy_port, fronted.folder)
        if server is not None:
            running.enter_context(server)
            server.until_200(FORWARDED)
            ports["nginx"], pids["nginx"] = server.port, worker_of(server.pid)
        yield Site(fronted.home_path, ports, pids)
