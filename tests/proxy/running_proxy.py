"""`signet-proxy serve` as a process of its own on a home of its own, and its command line in this process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.legacy.ports import free_port
from tests.proxy.legacy.daemons import OBEDIENT, write_daemon
from tests.proxy.legacy.running import environment_for

DEADLINE_S = 20.0


def command_line(environment: dict[str, str], *words: str) -> Result:
    """What a command prints and its exit code."""
    return CliRunner().invoke(main, words, env=environment)


class RunningProxy:
    """Listening when entered. `agent_yaml` is the home's configuration, `daemon` what stands behind the proxy."""

    command = (sys.executable, "-m", "proxy", "serve")

    def __init__(self, folder: Path, *, daemon: str = OBEDIENT, agent_yaml: str = "", **environment: str) -> None:
        self.home_path = folder / "home"
        self.home_path.mkdir()
        if agent_yaml:
            (self.home_path / "agent.yaml").write_text(agent_yaml)
        script = write_daemon(folder, daemon)
        self.environment = environment_for(self.home_path, script, SIGNET_PORT=str(free_port())) | environment
        self.url = f"http://127.0.0.1:{self.environment['SIGNET_PORT']}"
        self._output_path = folder / "output.txt"

    @classmethod
    def again(cls, ended: RunningProxy) -> RunningProxy:
        """A new proxy on the home, ports and daemon of one that has ended."""
        successor = cls.__new__(cls)
        successor.home_path, successor.url = ended.home_path, ended.url
        successor.environment = ended.environment
        successor._output_path = ended._output_path.with_name("output-again.txt")
        return successor

    def __enter__(self) -> Self:
        with self._output_path.open("wb") as output:
            self._process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            self.wait_for(lambda: self.get("/health/live").status_code == 200)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self, within_s: float) -> int:
        """The exit code, once the proxy has ended by itself."""
        return self._process.wait(within_s)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return self._output_path.read_text()

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.url + path, headers=headers, trust_env=False, timeout=10.0)

    def post(self, path: str, value: Any, **headers: str) -> httpx.Response:
        return httpx.post(self.url + path, json=value, headers=headers, trust_env=False, timeout=10.0)

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = self.get("/_proxy/status").json()
        return document

    def cli(self, *words: str) -> Result:
        return command_line(self.environment, *words)

    def until_legacy(self, state: str) -> None:
        self.wait_for(lambda: self.get("/health").json()["proxy"]["legacy"] == state)

    def wait_for(self, condition: Any) -> None:
        end_s = time.monotonic() + DEADLINE_S
        while True:
            assert time.monotonic() < end_s, self.output
            assert self._process.poll() is None, self.output
            try:
                if condition():
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)


class EveryGroupNative(RunningProxy):
    """Native answers without evidence, for the groups that are asked for."""

    command = (sys.executable, "-m", "parity_tests.harness.native_server", "serve")

    def __init__(self, folder: Path, *groups: str, **options: str) -> None:
        super().__init__(folder, **options)
        (self.home_path / ".daemon").mkdir()
        modes = "".join(f"  {group}: native\n" for group in groups)
        (self.home_path / ".daemon" / "cutover.yaml").write_text(f"groups:\n{modes}")
