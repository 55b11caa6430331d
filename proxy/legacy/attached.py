"""A legacy daemon that somebody else runs: forwarded to from the first byte, never started or stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from native_routes.database import DatabaseError
from proxy.legacy.anchor import Anchor
from proxy.legacy.locks import holds_shared_lock
from proxy.legacy.policy import RestartPolicy
from proxy.legacy.probe import Probe, Prober, TokenSource
from proxy.legacy.status import LegacyState, LegacyStatus, Listener
from proxy.settings import Settings

log = structlog.get_logger(__name__)
_RETRY_MOST_S = 30.0


class AttachedLegacy:
    """SIGNET_LEGACY_URL. Probed once at start, and after a failure or without its lock until it answers again."""

    def __init__(
        self, settings: Settings, *, probe_token: TokenSource | None = None, policy: RestartPolicy | None = None
    ) -> None:
        if settings.legacy_url is None:
            raise ValueError("AttachedLegacy needs settings.legacy_url")
        url = urlsplit(settings.legacy_url)
        self._settings = settings
        self._policy = policy or RestartPolicy()
        self._prober = Prober(probe_token)
        self._anchor = Anchor(settings.database_path)
        self._listeners: list[Listener] = []
        self._failed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.status = LegacyStatus(
            LegacyState.STARTING, "attached", url.hostname or "127.0.0.1", url.port or 80, since=time.time()
        )

    @property
    def address(self) -> tuple[str, int]:
        return self.status.host, self.status.port

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="attached legacy")

    async def stop(self, within_s: float) -> None:
        """Give up the database connection. The daemon goes on, so its WAL is left alone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._anchor.release(legacy_is_gone=False)
        self._update(state=LegacyState.DOWN, reason="stopped", lock_visible=False)

    def accepts(self) -> bool:
        return True

    async def wait_accepting(self, within_s: float) -> bool:
        return True

    def subscribe(self, callback: Listener) -> None:
        self._listeners.append(callback)

    def note_failure(self) -> None:
        self._failed.set()

    async def _follow(self) -> None:
        while True:
            self._failed.clear()  # before probing: a failure during the probe asks for another one
            await self._probe_until_it_answers()
            await self._until_it_fails()

    async def _until_it_fails(self) -> None:
        """Returns when a failure is noted, or when the daemon's lock is no longer seen: it may have gone, another
        version may have taken its place, and native answers alone would never notice."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._policy.lock_interval_s):
                    await self._failed.wait()
                    return
            if self.status.lock_visible and not await asyncio.to_thread(self._is_locked_by, self.status.pid):
                return

    def _is_locked_by(self, pid: int | None) -> bool:
        """Blocking."""
        return pid is not None and holds_shared_lock(pid, Path(self._settings.database_path)) is True

    async def _probe_until_it_answers(self) -> None:
        pause_s = self._policy.backoff_first_s
        while True:
            probe = await self._prober.ask(*self.address, self._policy.probe_timeout_s)
            await self._take_in(probe)
            if probe.answered:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _RETRY_MOST_S)

    async def _take_in(self, probe: Probe) -> None:
        if not probe.answered:
            self._update(state=LegacyState.DOWN, reason=probe.problem, lock_visible=False)
            return
        visible, reason = await asyncio.to_thread(self._sees_its_lock, probe)
        state = LegacyState.READY if probe.problem is None else LegacyState.BUSY
        self._update(
            state=state,
            reason=probe.problem or reason,
            pid=probe.pid,
            version=probe.version,
            agents_dir=probe.agents_dir,
            update_available=probe.update_available,
            pending_restart=probe.pending_restart,
            lock_visible=visible,
        )
        if visible:
            await self._hold_anchor()

    def _sees_its_lock(self, probe: Probe) -> tuple[bool, str | None]:
        """Whether this daemon uses our database and holds its lock on it; else why not. Blocking."""
        home = self._settings.home_path
        if probe.agents_dir is None or os.path.realpath(probe.agents_dir) != os.path.realpath(home):
            return False, f"its data directory is {probe.agents_dir}, ours is {home}: everything is forwarded"
        if not self._is_locked_by(probe.pid):
            return False, "its lock on the database cannot be seen: everything is forwarded"
        return True, None

    async def _hold_anchor(self) -> None:
        try:
            self._update(schema_version=await self._anchor.hold(), database_problem=None)
        except DatabaseError as error:
            log.warning("legacy.database_unreadable", path=str(self._settings.database_path), error=str(error))
            self._update(schema_version=None, database_problem=f"{self._settings.database_path}: {error}")

    def _update(self, **changes: Any) -> None:
        status = replace(self.status, **changes)
        if status.state is not self.status.state:
            log.info("legacy.state", state=status.state.value, was=self.status.state.value, reason=status.reason)
            status = replace(status, since=time.time())
        if status == self.status:
            return
        self.status = status
        for listener in self._listeners:
            # Not called from here: what a listener raises must not end the probing.
            asyncio.get_running_loop().call_soon(listener, status)
