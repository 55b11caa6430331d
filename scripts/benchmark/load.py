"""Load on one port for some seconds: by `wrk` where it is installed, else by a generator of our own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from proxy.legacy.find import CHECKOUT_PATH
from scripts.benchmark import machine
from scripts.benchmark.rows import MeasurementError

WRK_REPORT_PATH = Path(__file__).with_name("wrk_report.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """The same request again and again on `connections` kept connections, one at a time on each."""

    connections: int
    path: str
    method: str = "GET"
    body: str = ""
    status: int = 200  # what every reply must have


@dataclass(frozen=True, slots=True)
class Loaded:
    """`cpu_share` is how much of one processor the generator itself used: near 1 means that it was the limit."""

    requests: int
    duration_s: float
    received_bytes: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_share: float

    @property
    def per_s(self) -> float:
        return self.requests / self.duration_s

    @property
    def mb_per_s(self) -> float:
        return self.received_bytes / self.duration_s / 1e6


Generator = Callable[[Load, int, float], Loaded]


def choose(name: str, seconds: float) -> tuple[str, Generator]:
    """The generator called `name`: wrk, own, or auto. wrk counts in whole seconds, so short runs are ours."""
    if name == "auto":
        name = "wrk" if machine.program("wrk") and seconds >= 1 else "own"
    if name == "wrk" and machine.program("wrk") is None:
        raise MeasurementError("wrk is not installed (Debian: apt install wrk); use --generator own")
    return name, {"wrk": _wrk, "own": _own}[name]


def _wrk(load: Load, port: int, seconds: float) -> Loaded:
    command = (
        machine.program("wrk") or "wrk",
        *("--threads", "1", "--connections", str(load.connections), "--duration", f"{max(1, round(seconds))}s"),
        *("--timeout", "10s", "--script", str(WRK_REPORT_PATH), f"http://127.0.0.1:{port}{load.path}"),
        *("--", load.method, load.body),
    )
    report, cpu_s = _run(command, seconds)
    if load.status >= 400:  # wrk counts these as errors
        report["failed"] -= report["requests"]
    return _loaded(load, report, cpu_s)


def _own(load: Load, port: int, seconds: float) -> Loaded:
    order = json.dumps({"port": port, "seconds": seconds, **asdict(load)})
    return _loaded(load, *_run((sys.executable, "-m", "scripts.benchmark.own_load", order), seconds))


def _run(command: tuple[str, ...], seconds: float) -> tuple[dict[str, Any], float]:
    """What the generator reports on its last line, and the processor time it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 30, check=False, cwd=CHECKOUT_PATH
        )
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{command[0]} did not end") from error
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        raise MeasurementError(f"{command[0]} ended with code {done.returncode}: {done.stderr.strip()[-500:]}")
    report: dict[str, Any] = json.loads(lines[-1])
    return report, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _loaded(load: Load, report: dict[str, Any], cpu_s: float) -> Loaded:
    if report["failed"] or not report["requests"]:
        raise MeasurementError(
            f"{load.method} {load.path}: {report['failed']} of {report['requests']} requests failed, "
            f"so that the figure would mean nothing"
        )
    return Loaded(
        requests=report["requests"],
        duration_s=report["duration_us"] / 1e6,
        received_bytes=report["bytes"],
        p50_ms=report["p50_us"] / 1e3,
        p99_ms=report["p99_us"] / 1e3,
        max_ms=report["max_us"] / 1e3,
        cpu_share=cpu_s / (report["duration_us"] / 1e6),
    )
