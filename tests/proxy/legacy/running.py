"""A supervisor with a home of its own, short times, and an end in every case."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from proxy.home import PidFile, create_home
from proxy.journal import Journal
from proxy.legacy import LegacyState, LegacyStatus, RestartPolicy, SupervisedLegacy
from proxy.legacy.find import STAND_IN_PATH
from proxy.legacy.ports import free_port
from proxy.legacy.processes import look
from proxy.settings import Settings

# Short, but with room for two busy processors: `grace_s` is longer than a starved event loop stays away.
FAST = RestartPolicy(
    backoff_first_s=0.02,
    backoff_most_s=0.1,
    healthy_reset_s=30.0,
    breaker_exits=3,
    breaker_window_s=30.0,
    breaker_retry_s=60.0,
    probe_interval_s=0.05,
    probe_timeout_s=0.4,
    slow_probe_s=0.15,
    look_interval_s=0.05,
    lock_interval_s=0.1,
    failed_probes=2,
    quiet_s=0.4,
    grace_s=1.5,
    busy_ceiling_s=60.0,
    planned_stop_s=5.0,
)


@dataclass
class Supervised:
    legacy: SupervisedLegacy
    journal: Journal
    settings: Settings
    seen: list[LegacyStatus] = field(default_factory=list)

    @property
    def status(self) -> LegacyStatus:
        return self.legacy.status

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.legacy.address)

    def states(self) -> list[LegacyState]:
        """Each state once per turn it was entered."""
        states = [status.state for status in self.seen]
        return [state for state, before in zip(states, [None, *states], strict=False) if state is not before]

    async def ready(self, within_s: float = 20.0) -> LegacyStatus:
        """The status once requests are accepted."""
        await until(self.legacy.accepts, within_s, lambda: str(self.status))
        return self.status

    async def becomes(self, state: LegacyState, within_s: float = 20.0) -> LegacyStatus:
        await until(lambda: self.status.state is state, within_s, lambda: str(self.status))
        return self.status

    async def next_child(self, after_pid: int | None) -> LegacyStatus:
        """The status once another child than `after_pid` is accepted."""
        await until(lambda: self.legacy.accepts() and self.status.pid != after_pid, 20.0, lambda: str(self.status))
        return self.status

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=20.0) as client:
            return await client.get(self.url + path, params=parameters)

    async def post(self, path: str, value: Any) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=20.0) as client:
            return await client.post(self.url + path, json=value)


def child_pid(status: LegacyStatus) -> int:
    assert status.pid is not None
    return status.pid


def environment_for(home_path: Path, daemon: Path | None, **more: str) -> dict[str, str]:
    """The environment of a user who has set only what the test needs; HOME is the test's too.

    None is the stand-in, named so that a Signet installed on this machine is left alone.
    """
    user_home = home_path.parent / "user"
    user_home.mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(user_home),
        "SIGNET_PATH": str(home_path),
        "SIGNET_LEGACY_PORT": str(free_port()),
        "SIGNET_LEGACY_DAEMON": str(daemon or STAND_IN_PATH),
    }
    return environment | more


async def build(environment: dict[str, str], policy: RestartPolicy = FAST, **more: Any) -> Supervised:
    """A supervisor that has not been started."""
    settings = Settings.from_env(environment)
    await asyncio.to_thread(create_home, settings.home_path, settings.logs_path)
    journal = Journal(settings.daemon_dir_path / "proxy.db")
    await journal.open()
    pid_file = PidFile(settings.home_path)
    legacy = SupervisedLegacy(
        settings, environment=environment, journal=journal, pid_file=pid_file, policy=policy, **more
    )  # fmt: skip
    supervised = Supervised(legacy, journal, settings)
    legacy.subscribe(supervised.seen.append)
    return supervised


async def until(condition: Callable[[], Any], within_s: float = 10.0, explain: Callable[[], str] = str) -> None:
    """Wait until `condition()` holds; fails with `explain()` when it does not in time."""
    ends_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends_s:
            raise AssertionError(f"not within {within_s} s: {explain()}")
        await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and waits for its parent to notice does not."""
    sample = look(pid)
    return sample is not None and sample.state != "Z"


def group_is_alive(group: int) -> bool:
    """Whether a process of the group runs."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return any(line.split()[0] == str(group) and "Z" not in line.split()[1] for line in listed.splitlines())


def kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> None:
    assert pid is not None
    os.kill(pid, number)


def in_another_process(source: str, *arguments: str) -> str:
    """What a Python program prints, run to its end. For databases: a second SQLite in this process would drop locks."""
    command = [sys.executable, "-c", source, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
