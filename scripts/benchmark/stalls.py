"""How long an event loop keeps a small request waiting while it is under load."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from statistics import median

from scripts.benchmark.rows import Budget, MeasurementError, Row
from scripts.benchmark.streams import percentile

NO_STALL_MS = Budget(100.0)
PROBE_PACE_S = 0.010


def stall_row(work: str, gaps: Sequence[float], budget: Budget | None) -> Row:
    """The longest of these gaps in milliseconds."""
    pace_ms = PROBE_PACE_S * 1e3
    note = f"{len(gaps)} probes, one each {pace_ms:.0f} ms: p50 {median(gaps):.1f}, p99 {percentile(gaps, 99):.1f} ms"
    return Row(work, "ms", max(gaps), budget, note=note)


def gaps_under(load: Callable[[], object], port: int) -> list[float]:
    """Milliseconds from when each probe of /health/live was due to its reply, so that a stall is not hidden by probing
    late; until `load` returns. Raises MeasurementError, the load's own too.
    """
    failures: list[MeasurementError] = []

    def run_load() -> None:
        try:
            load()
        except MeasurementError as error:
            failures.append(error)

    loading = threading.Thread(target=run_load)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    gaps = []
    loading.start()
    try:
        due_s = time.perf_counter()
        while loading.is_alive():
            _probe(connection)
            now_s = time.perf_counter()
            gaps.append((now_s - due_s) * 1e3)
            due_s += PROBE_PACE_S
            time.sleep(max(0.0, due_s - now_s))
    finally:
        loading.join()
        connection.close()
    if failures:
        raise failures[0]
    return gaps


def _probe(connection: http.client.HTTPConnection) -> None:
    try:
        connection.request("GET", "/health/live")
        reply = connection.getresponse()
        reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise MeasurementError(f"GET /health/live under load: {error}") from error
    if reply.status != 200:
        raise MeasurementError(f"GET /health/live under load: status {reply.status}")
