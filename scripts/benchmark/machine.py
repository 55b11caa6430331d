"""On what the figures were measured: they mean nothing without it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from pathlib import Path


def describe() -> dict[str, str]:
    """Processor, cores, memory, system, versions, date and load average; what cannot be found out is "unknown"."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "processor": _after(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown",
        "cores": str(os.cpu_count()),
        "memory": _after(Path("/proc/meminfo"), "MemTotal") or "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "nginx": first_line("nginx", "-v"),
        "wrk": first_line("wrk", "-v").partition(" Copyright")[0],
        "load average before": load_average(),
    }


def load_average() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def program(name: str) -> str | None:
    """Where a program is; also in the folders for administrators, which are not on everybody's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def first_line(name: str, *arguments: str) -> str:
    """The first line that a program prints about itself; "not installed" when there is none."""
    path = program(name)
    if path is None:
        return "not installed"
    done = subprocess.run((path, *arguments), capture_output=True, text=True, timeout=10, check=False)
    return (done.stdout + done.stderr).strip().partition("\n")[0]


def _after(path: Path, key: str) -> str | None:
    """The value behind the first `key : value` of a /proc file."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)
