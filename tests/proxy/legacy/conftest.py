"""Processes that end with their test, whatever happened in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.legacy import RestartPolicy, processes
from tests.proxy.legacy.daemons import write_daemon
from tests.proxy.legacy.running import FAST, Supervised, build, environment_for

collect_ignore = [] if processes.ON_LINUX else ["test_proc.py"]
Supervise = Callable[..., Awaitable[Supervised]]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for a line of input, started with MARK=yes."""
    environment = {"MARK": "yes", "PATH": os.environ["PATH"]}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment) as process:
        yield process
        process.kill()


@pytest.fixture
async def supervise(tmp_path: Path) -> AsyncIterator[Supervise]:
    """`await supervise(behaviour)`: a started supervisor with such a daemon; None runs legacy_ts."""
    running: list[Supervised] = []

    async def start(behaviour: str | None, policy: RestartPolicy = FAST, **more: Any) -> Supervised:
        daemon = write_daemon(tmp_path, behaviour) if behaviour is not None else None
        environment = environment_for(tmp_path / "home", daemon, **more.pop("environment", {}))
        supervised = await build(environment, policy, **more)
        running.append(supervised)
        await supervised.legacy.start()
        return supervised

    yield start
    for supervised in running:
        await supervised.legacy.stop(within_s=2.0)
        await supervised.journal.close()
