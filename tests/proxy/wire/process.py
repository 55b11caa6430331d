"""The proxy under test as a process of its own, attached to the test's upstream."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from proxy.legacy.ports import free_port

COMMAND = (sys.executable, "-m", "proxy", "serve")
CHECKOUT_PATH = Path(__file__).parents[3]
START_DEADLINE_S = 15.0
FORWARDS = "groups:\n  status: legacy\n  memories: legacy\n"


class ProxyProcess:
    """Running when constructed; `stop` ends it. `port` is where it listens, `pid` its process."""

    def __init__(self, upstream_port: int, home_path: Path) -> None:
        (home_path / ".daemon").mkdir(parents=True, exist_ok=True)
        # It only forwards, so nothing is imported ahead, and its memory tells what requests take.
        (home_path / ".daemon" / "cutover.yaml").write_text(FORWARDS)
        self.port = free_port()
        self._stderr_path = home_path.parent / f"stderr-{self.port}.txt"
        self._stderr: IO[bytes] = self._stderr_path.open("wb")
        self._process = subprocess.Popen(
            COMMAND,
            cwd=CHECKOUT_PATH,
            env=environment(self.port, upstream_port, home_path),
            stdin=subprocess.DEVNULL,
            stdout=self._stderr,
            stderr=self._stderr,
        )
        try:
            self.wait_until_live()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def resident_bytes(self) -> int:
        """Resident memory. Source: ps(1), kibibytes."""
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, check=True)
        return int(shown.stdout) * 1024

    def stderr_since(self, offset: int) -> str:
        return self._stderr_path.read_bytes()[offset:].decode(errors="replace")

    def stderr_size(self) -> int:
        return self._stderr_path.stat().st_size

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._stderr.close()

    def wait_until_live(self) -> None:
        """Return when the proxy has answered. Raises AssertionError with its stderr when it has ended or never does."""
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._is_live():
            if self._process.poll() is not None or time.monotonic() > deadline:
                state = f"exit code {self._process.returncode}" if self._process.poll() is not None else "not live"
                raise AssertionError(f"the proxy did not start ({state}):\n{self.stderr_since(0)}")

    def _is_live(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                sock.settimeout(1)
                sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return sock.recv(64).startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False


def environment(port: int, upstream_port: int, home_path: Path) -> dict[str, str]:
    """Nothing of the caller's environment but PATH; an HTTP proxy is set, which must never be asked."""
    return {
        "PATH": os.defpath,
        "HOME": str(home_path),
        "SIGNET_PATH": str(home_path),
        "SIGNET_PORT": str(port),
        "SIGNET_LEGACY_URL": f"http://127.0.0.1:{upstream_port}",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }
