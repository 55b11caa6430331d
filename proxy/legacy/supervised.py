"""The legacy daemon as our child: booted, proven, watched, restarted, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import structlog

from native_routes.database import DatabaseError
from proxy.home import PidFile
from proxy.journal import Journal
from proxy.legacy.anchor import Anchor
from proxy.legacy.child import Child, Launch
from proxy.legacy.find import LegacyNotFound, find_bun, find_daemon
from proxy.legacy.locks import holds_shared_lock
from proxy.legacy.migration import Boot, backup_names, judge_boot
from proxy.legacy.policy import RestartPolicy, Restarts
from proxy.legacy.ports import free_port, is_free, port_holder
from proxy.legacy.probe import Probe, Prober, TokenSource
from proxy.legacy.replacements import stop_escaped, stop_left_behind
from proxy.legacy.status import Death, LegacyState, LegacyStatus, Listener
from proxy.legacy.watch import Watch
from proxy.settings import Settings

log = structlog.get_logger(__name__)
FIRST_PORT = 3851  # tried first when the setting leaves the port to us


class CannotStart(Exception):
    """Nothing was started; the message names the cause and the fix. Tried again, because an operator may remove it."""


class SupervisedLegacy:
    """One daemon, kept running from `start` to `stop`. Everything happens on one task of the event loop; what blocks
    runs in threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        environment: Mapping[str, str],
        journal: Journal,
        pid_file: PidFile,
        probe_token: TokenSource | None = None,
        policy: RestartPolicy | None = None,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._journal = journal
        self._pid_file = pid_file
        self._policy = policy or RestartPolicy()
        self._prober = Prober(probe_token)
        self._restarts = Restarts(self._policy)
        self._nonce = secrets.token_hex(16)
        self._anchor = Anchor(settings.database_path)
        self._listeners: list[Listener] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._child: Child | None = None
        self._spawning: asyncio.Future[Child] | None = None
        self._watch: Watch | None = None
        self._forwards = False  # the running child's boot is proven, or given up proving
        self._exited = False  # the last child ended by itself, so the next start is a restart
        self._swept = False
        self.status = LegacyStatus(
            LegacyState.STARTING, "signet", "127.0.0.1", settings.legacy_port or FIRST_PORT, since=time.time()
        )

    @property
    def address(self) -> tuple[str, int]:
        return self.status.host, self.status.port

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._supervise(), name="legacy supervisor")

    async def stop(self, within_s: float) -> None:
        """End the daemon, then close the database, then remove the pid file. Raises nothing the daemon could cause."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(within_s), name="legacy stop")
        await asyncio.shield(self._stopping)

    def accepts(self) -> bool:
        return self._forwards and self.status.state in {LegacyState.READY, LegacyState.BUSY}

    async def wait_accepting(self, within_s: float) -> bool:
        """True as soon as requests may be forwarded. False when the time is over, and at once when legacy is down:
        its next start is then minutes away or needs the operator."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.accepts() and self.status.state is not LegacyState.DOWN:
                    changed = self._changed
                    await changed.wait()
        return self.accepts()

    def subscribe(self, callback: Listener) -> None:
        self._listeners.append(callback)

    def note_failure(self) -> None:
        if self._watch is not None:
            self._watch.hurry()

    # The life of the daemon, outermost first.

    async def _supervise(self) -> None:
        """Boot after boot until stopped. Whatever goes wrong in one is the reason shown, never the end of this."""
        while True:
            try:
                await self._stop_left_behind()
                await self._one_life()
            except CannotStart as error:
                self._tell(LegacyState.DOWN, reason=str(error))
                await asyncio.sleep(self._restarts.pause_after_failure())
            except Exception as error:
                log.exception("legacy.supervisor_failed")
                self._tell(LegacyState.DOWN, reason=f"supervisor: {error}")
                await self._end_child()
                await asyncio.sleep(self._restarts.pause_after_failure())

    async def _stop_left_behind(self) -> None:
        if self._swept:
            return
        self._swept = True
        if pids := await asyncio.to_thread(stop_left_behind, self._settings.home_path):
            log.warning("legacy.left_behind_stopped", pids=pids)

    async def _one_life(self) -> None:
        """From the checks before a start to the exit that nobody asked for, and the pause after it.

        Raises CannotStart. A migrating boot is stopped and followed by another, within the same life.
        """
        extra_boots = 0
        while True:
            launch = await self._prepare()
            backups = await asyncio.to_thread(backup_names, self._settings.database_path)
            child = await self._boot(launch)
            ready = await self._until_ready(child, launch.port)
            if ready is None:
                return await self._after_exit(await child.exited)
            boot = await asyncio.to_thread(judge_boot, child.pid, self._settings.database_path, backups)
            log.info("legacy.booted", pid=child.pid, port=launch.port, boot=boot.name, after_s=round(child.uptime_s, 3))
            if boot in {Boot.PROVEN, Boot.UNREADABLE} or extra_boots >= self._policy.boots_after_migration:
                break
            extra_boots += 1
            await self._end_boot(child, boot)
        await self._serve(child, ready, boot)
        return await self._after_exit(await child.exited)

    async def _prepare(self) -> Launch:
        """What to start and where. Raises CannotStart."""
        settings = self._settings
        try:
            daemon = await asyncio.to_thread(find_daemon, settings.legacy_daemon_path, self._environment)
            bun = await asyncio.to_thread(find_bun, settings.bun_path, self._environment)
        except LegacyNotFound as error:
            raise CannotStart(str(error)) from error
        port = await asyncio.to_thread(self._usable_port)
        self._update(kind=daemon.kind, daemon_path=str(daemon.path), port=port)
        return Launch(
            bun, daemon.path, settings.home_path, settings.logs_path, port, self._nonce, self._environment
        )  # fmt: skip

    def _usable_port(self) -> int:
        """The port for the next boot. Raises CannotStart naming who holds it. Blocking."""
        wanted = self._settings.legacy_port or FIRST_PORT
        if is_free(wanted):
            return wanted
        if self._settings.legacy_port == 0:
            return free_port()
        raise CannotStart(
            f"{port_holder(wanted)}; stop it, or set SIGNET_LEGACY_PORT to another port (0 = any free one)"
        )

    async def _boot(self, launch: Launch) -> Child:
        self._tell(LegacyState.STARTING, reason=self.status.reason)
        self._spawning = asyncio.ensure_future(Child.start(launch))
        try:
            # Shielded: a stop in this moment must still find the child, to end it.
            self._child = await asyncio.shield(self._spawning)
        except OSError as error:
            raise CannotStart(f"cannot start {launch.bun_path}: {error}") from error
        finally:
            if self._spawning.done():
                self._spawning = None
        self._update(pid=self._child.pid, reason=None, restarts=self.status.restarts + self._exited)
        self._exited = False
        log.info("legacy.started", pid=self._child.pid, port=launch.port, daemon=str(launch.daemon_path))
        return self._child

    async def _until_ready(self, child: Child, port: int) -> Probe | None:
        self._watch = Watch(child, port, self._prober, self._policy, self._verdict_of_boot)
        ready = await self._watch.until_ready()
        await asyncio.to_thread(self._pid_file.write)  # legacy wrote its own pid while booting
        return ready

    async def _end_boot(self, child: Child, boot: Boot) -> None:
        """Stop a child whose boot cannot be trusted; the next one follows at once and does not count as a restart."""
        self._tell(LegacyState.STARTING, reason=f"booting again: {boot.value}")
        death = await child.stop(self._policy.planned_stop_s)
        self._child = self._watch = None
        log.info("legacy.boot_ended", pid=death.pid, boot=boot.name, code=death.code, uptime_s=death.uptime_s)
        await asyncio.to_thread(self._pid_file.write)

    async def _serve(self, child: Child, ready: Probe, boot: Boot) -> None:
        """Forward to this child, and watch it until it exits."""
        await self._hold_anchor()
        self._forwards = True
        known = {"version": ready.version, "agents_dir": ready.agents_dir, "lock_visible": boot is Boot.PROVEN}
        self._tell(LegacyState.READY, None, **known)
        assert self._watch is not None
        self._watch.verdict = self._verdict_of_service
        checked_s = time.monotonic()
        while not child.exited.done():
            probe = await self._watch.one_turn()
            if probe is not None and probe.answered:
                self._update(update_available=probe.update_available, pending_restart=probe.pending_restart)
            self._restarts.healthy_for(child.uptime_s if self.accepts() else 0.0)
            if time.monotonic() - checked_s >= self._policy.lock_interval_s:
                checked_s = time.monotonic()
                await self._check_lock(child)

    async def _hold_anchor(self) -> None:
        """Legacy is forwarded to also when its database cannot be opened here; native answers are then capped."""
        try:
            self._update(schema_version=await self._anchor.hold(), database_problem=None)
        except DatabaseError as error:
            log.warning("legacy.database_unreadable", path=str(self._settings.database_path), error=str(error))
            self._update(schema_version=None, database_problem=f"{self._settings.database_path}: {error}")

    async def _check_lock(self, child: Child) -> None:
        """A daemon can lose its lock later too, by copying the file; and an unreadable file may be back."""
        visible = await asyncio.to_thread(holds_shared_lock, child.pid, self._settings.database_path)
        self._update(lock_visible=visible is True)
        if not self._anchor.is_held:
            await self._hold_anchor()

    async def _after_exit(self, death: Death) -> None:
        """Record it, clear up after it, and wait before the next start."""
        self._forwards = False
        self._exited = True
        self._child = self._watch = None
        self._journal.record("death", **_as_fields(death))
        log.warning("legacy.exited", pid=death.pid, code=death.code, signal=death.signal, uptime_s=death.uptime_s)
        pause_s = self._restarts.pause_after_exit(time.monotonic())
        self._tell_exit(death, pause_s)
        escaped = await asyncio.to_thread(stop_escaped, self._nonce)
        if escaped:
            log.warning("legacy.replacement_stopped", pids=escaped)
            self._journal.record("legacy_replacement_stopped", pids=escaped)
        await asyncio.to_thread(self._pid_file.write)
        await asyncio.sleep(pause_s)

    def _tell_exit(self, death: Death, pause_s: float) -> None:
        state, reason = LegacyState.STARTING, f"{death}; starts again in {pause_s:.1f} s"
        if self._restarts.is_broken:
            words = f"; its last words: {death.last_output[-1]}" if death.last_output else ""
            state = LegacyState.DOWN
            reason = (
                f"the legacy daemon keeps exiting ({death}){words}. Its output is in "
                f"{self._settings.logs_path}/proxy-legacy.log; it is tried again in {pause_s:.0f} s, or when "
                "signet-proxy is restarted"
            )
        self._tell(state, reason, pid=None, last_death=death, lock_visible=False)

    # Stopping.

    async def _stop(self, within_s: float) -> None:
        self._forwards = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._spawning is not None:
            with contextlib.suppress(OSError):
                self._child = await self._spawning
        if self._child is not None:
            death = await self._child.stop(within_s)
            self._journal.record("death", **_as_fields(death))
            self._update(last_death=death)
        await asyncio.to_thread(stop_escaped, self._nonce)
        # Only now: with a daemon alive, closing the last connection of ours could cost it its WAL.
        await self._anchor.release(legacy_is_gone=True)
        await asyncio.to_thread(self._pid_file.remove)
        self._tell(LegacyState.DOWN, "stopped", pid=None, lock_visible=False)

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        self._forwards = False
        if child is not None:
            await child.stop(self._policy.planned_stop_s)

    # Telling.

    def _verdict_of_boot(self, state: LegacyState, problem: str | None) -> None:
        wedged = state is LegacyState.WEDGED
        self._tell(LegacyState.WEDGED if wedged else LegacyState.STARTING, reason=problem)

    def _verdict_of_service(self, state: LegacyState, problem: str | None) -> None:
        unwell = problem is not None and state is LegacyState.READY
        self._tell(LegacyState.BUSY if unwell else state, reason=problem)

    def _tell(self, state: LegacyState, reason: str | None, **changes: Any) -> None:
        changed = state is not self.status.state
        if changed:
            log.info("legacy.state", state=state.value, was=self.status.state.value, reason=reason)
            self._journal.record("legacy_state", state=state.value, reason=reason)
        since = time.time() if changed else self.status.since
        self._update(state=state, reason=reason, since=since, **changes)

    def _update(self, **changes: Any) -> None:
        status = replace(self.status, **changes)
        if status == self.status:
            return
        self.status = status
        for listener in self._listeners:
            # Not called from here: what a listener raises must not end the supervision of a healthy daemon.
            asyncio.get_running_loop().call_soon(listener, status)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _as_fields(death: Death) -> dict[str, Any]:
    return asdict(death)
