"""A daemon that somebody else runs: a real one, started by the test as a stranger."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from proxy.legacy import AttachedLegacy, LegacyState, LegacyStatus
from proxy.legacy.find import find_bun
from proxy.legacy.locks import holds_shared_lock
from proxy.legacy.ports import free_port, is_free
from proxy.settings import Settings
from tests.proxy.legacy import daemons
from tests.proxy.legacy.running import FAST, environment_for, until

Attach = Callable[..., Awaitable[AttachedLegacy]]


class Stranger:
    """A daemon outside supervision; `end` stops it."""

    def __init__(self, folder: Path, home: Path, behaviour: str, port: int) -> None:
        (home / ".daemon").mkdir(parents=True, exist_ok=True)
        environment = environment_for(home, None, SIGNET_PORT=str(port))
        command = [str(find_bun(None, environment)), str(daemons.write_daemon(folder, behaviour))]
        self.port = port
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        self.pid = self._process.pid

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(10)


@pytest.fixture
async def stranger(tmp_path: Path) -> AsyncIterator[Stranger]:
    daemon = Stranger(tmp_path, tmp_path / "home", daemons.OBEDIENT, free_port())
    await until(lambda: not is_free(daemon.port))
    yield daemon
    daemon.end()


@pytest.fixture
async def attach(tmp_path: Path) -> AsyncIterator[Attach]:
    attached: list[AttachedLegacy] = []

    async def start(port: int, home: str = "home") -> AttachedLegacy:
        environment = environment_for(tmp_path / home, None, SIGNET_LEGACY_URL=f"http://127.0.0.1:{port}")
        legacy = AttachedLegacy(Settings.from_env(environment), policy=FAST)
        attached.append(legacy)
        await legacy.start()
        return legacy

    yield start
    for legacy in attached:
        await legacy.stop(1.0)


async def test_requests_are_forwarded_from_the_first_moment(attach: Attach) -> None:
    legacy = await attach(free_port())
    assert legacy.accepts()
    assert await legacy.wait_accepting(0.0)
    await until(lambda: legacy.status.state is LegacyState.DOWN)
    assert legacy.accepts()


async def test_a_daemon_on_our_home_is_known_with_its_lock_and_schema(attach: Attach, stranger: Stranger) -> None:
    legacy = await attach(stranger.port)
    await until(lambda: legacy.status.schema_version == 30, explain=lambda: str(legacy.status))
    status = legacy.status
    assert (status.state, status.kind, status.pid, status.version) == (
        LegacyState.READY,
        "attached",
        stranger.pid,
        "0.58.1",
    )
    assert status.lock_visible


async def test_a_daemon_on_another_home_is_only_forwarded_to(attach: Attach, stranger: Stranger) -> None:
    legacy = await attach(stranger.port, home="another home")
    await until(lambda: legacy.status.state is LegacyState.READY)
    assert (legacy.status.lock_visible, legacy.status.schema_version) == (False, None)
    assert legacy.status.reason is not None
    assert "another home" in legacy.status.reason


async def test_after_a_failure_it_is_probed_until_it_answers_again(
    attach: Attach, stranger: Stranger, tmp_path: Path
) -> None:
    seen: list[LegacyStatus] = []
    legacy = await attach(stranger.port)
    legacy.subscribe(seen.append)
    await until(lambda: legacy.status.state is LegacyState.READY)
    stranger.end()
    legacy.note_failure()
    await until(lambda: legacy.status.state is LegacyState.DOWN)
    again = Stranger(tmp_path, tmp_path / "home", daemons.OBEDIENT, stranger.port)
    try:
        await until(lambda: legacy.status.state is LegacyState.READY and legacy.status.pid == again.pid)
    finally:
        again.end()
    assert LegacyState.DOWN in {status.state for status in seen}


async def test_a_daemon_that_ends_is_noticed_though_nothing_is_forwarded(attach: Attach, stranger: Stranger) -> None:
    legacy = await attach(stranger.port)
    await until(lambda: legacy.status.lock_visible, explain=lambda: str(legacy.status))
    stranger.end()
    await until(lambda: legacy.status.state is LegacyState.DOWN, explain=lambda: str(legacy.status))
    assert not legacy.status.lock_visible


async def test_detaching_leaves_the_daemon_its_wal(attach: Attach, stranger: Stranger, tmp_path: Path) -> None:
    legacy = await attach(stranger.port)
    await until(lambda: legacy.status.schema_version == 30)
    await legacy.stop(1.0)
    wal = tmp_path / "home" / "memory" / "memories.db-wal"
    assert wal.exists()
    assert holds_shared_lock(stranger.pid, wal.with_name("memories.db"))
    assert not holds_shared_lock(os.getpid(), wal.with_name("memories.db"))
