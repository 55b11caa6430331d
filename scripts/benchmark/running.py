"""A process that the benchmark started: waited for, looked at, and ended by its pid whatever happens."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from proxy.legacy.processes import look
from scripts.benchmark.rows import MeasurementError

STOP_S = 10.0
POLL_S = 0.002
READY_S = 60.0


class Running:
    """Started when made; ended when left. Its output goes to a file, and its last lines into errors."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, port: int
    ) -> None:
        self.name = name
        self.port = port
        self._output_path = folder / f"{name}.out"
        with self._output_path.open("ab") as output:
            self._spawned_s = time.perf_counter()
            # A session of its own: Ctrl-C is for us alone, and we end what we started in our order.
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)  # its session, which nobody else is in
                self._process.wait()

    def until_200(self, path: str, within_s: float = READY_S) -> float:
        """Seconds from spawn to the first reply with status 200. Raises MeasurementError."""
        return self.until(lambda: status(self.port, path) == 200, path, within_s)

    def until(self, ready: Callable[[], bool], what: str, within_s: float = READY_S) -> float:
        """Seconds from spawn until `ready()`. Raises MeasurementError, which names `what` was awaited."""
        while (elapsed_s := time.perf_counter() - self._spawned_s) < within_s:
            if self._process.poll() is not None:
                raise MeasurementError(f"{self.name} ended with code {self._process.returncode}: {self._last_lines()}")
            if ready():
                return time.perf_counter() - self._spawned_s
            time.sleep(POLL_S)
        raise MeasurementError(f"{self.name} did not answer {what} in {elapsed_s:.0f} s: {self._last_lines()}")

    def _last_lines(self) -> str:
        return " | ".join(self._output_path.read_text(errors="replace").splitlines()[-5:])


def status(port: int, path: str) -> int | None:
    """The status of a GET on a fresh connection; None while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def get(port: int, path: str) -> bytes:
    """The body of a GET that must succeed. Raises MeasurementError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise MeasurementError(f"GET {path}: {error}") from error
    finally:
        connection.close()
    if reply.status != 200:
        raise MeasurementError(f"GET {path}: status {reply.status}")
    return body


def connect(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), timeout=10)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def rss_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes). Raises MeasurementError when the process is gone."""
    sample = look(pid)
    if sample is None:
        raise MeasurementError(f"process {pid} is gone")
    return sample.rss_bytes / 1e6


def pss_mb(pid: int) -> float:
    """Proportional memory in MB: pages that others map too count in part. Resident memory where no PSS is told."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return rss_mb(pid)
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def cpu_s(pid: int) -> float:
    sample = look(pid)
    return 0.0 if sample is None else sample.cpu_s
