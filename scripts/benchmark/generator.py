"""Load of prepared requests on one port, by a process of its own that times every one of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proxy.legacy.find import CHECKOUT_PATH
from scripts.benchmark.rows import MeasurementError

SLOWEST_REPLY_S = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One load. `cpu_s` is the generator's own; `empty` counts replies without a single result."""

    requests: int
    duration_s: float
    latencies_ms: tuple[float, ...]  # sorted
    empty: int
    cpu_s: float

    @property
    def per_s(self) -> float:
        return self.requests / self.duration_s

    def percentile(self, percent: float) -> float:
        return self.latencies_ms[min(self.requests - 1, int(self.requests * percent / 100))]


def ask(
    port: int, requests: Sequence[Request], *, clients: int, seconds: float, served_by: str = "", per_s: float = 0
) -> Asked:
    """Send these requests, `clients` at a time, until they or the seconds are used up; what is under way may finish.

    With `per_s` no sooner than so many a second, and a latency begins when its request was due.
    Raises MeasurementError when a reply is no 200, says that it failed, or (with `served_by`) comes from elsewhere.
    """
    order = {
        "port": port,
        "clients": clients,
        "seconds": seconds,
        "per_s": per_s,
        "served_by": served_by,
        "requests": [[request.method, request.target, request.body] for request in requests],
    }
    report = _run(json.dumps(order), seconds + SLOWEST_REPLY_S + 30)
    if report["failed"] or not report["latencies_ms"]:
        raise MeasurementError(
            f"{report['failed']} of {len(report['latencies_ms']) + report['failed']} requests failed, so that the "
            f"figure would mean nothing; the first: {report['first_failure']}"
        )
    return Asked(
        requests=len(report["latencies_ms"]),
        duration_s=report["duration_s"],
        latencies_ms=tuple(report["latencies_ms"]),
        empty=report["empty"],
        cpu_s=report["cpu_s"],
    )


def _run(order: str, within_s: float) -> dict[str, Any]:
    command = (sys.executable, "-m", "scripts.benchmark.generator_process")
    try:
        done = subprocess.run(
            command, input=order, capture_output=True, text=True, timeout=within_s, check=False, cwd=CHECKOUT_PATH
        )
    except subprocess.TimeoutExpired as error:
        raise MeasurementError("the load generator did not end") from error
    if done.returncode != 0:
        raise MeasurementError(f"the load generator ended with code {done.returncode}: {done.stderr.strip()[-500:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report
