"""Following one child from its start to its exit: probes, looks at the process, and the kill that ends a hang."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import structlog

from proxy.legacy.child import Child
from proxy.legacy.liveness import Liveness
from proxy.legacy.policy import RestartPolicy
from proxy.legacy.probe import Probe, Prober
from proxy.legacy.processes import look
from proxy.legacy.status import LegacyState

log = structlog.get_logger(__name__)
Verdict = Callable[[LegacyState, str | None], None]


class Watch:
    """Tells `verdict(state, problem)` after each turn; READY, BUSY or WEDGED, whatever the boot phase makes of it."""

    def __init__(self, child: Child, port: int, prober: Prober, policy: RestartPolicy, verdict: Verdict) -> None:
        self._child = child
        self._port = port
        self._prober = prober
        self._policy = policy
        self.verdict = verdict
        self._liveness = Liveness(policy, time.monotonic())
        self._hurry = asyncio.Event()
        self._problem: str | None = None  # of the last probe

    def hurry(self) -> None:
        """Probe now instead of after the interval."""
        self._hurry.set()

    async def until_ready(self) -> Probe | None:
        """The first healthy answer of the child; None when it exited before, or was killed for not getting ready."""
        while not self._child.exited.done():
            probe = await self._turn()
            if probe is not None and probe.problem is None:
                return probe
            # Polling a boot costs nothing, but one that computes for minutes needs no 20 probes a second.
            await self._pause(max(self._policy.boot_probe_interval_s, min(1.0, self._child.uptime_s / 50)))
        return None

    async def one_turn(self) -> Probe | None:
        """Wait for the interval, or less when hurried, then probe; None when the child exited."""
        asks_s = time.monotonic() + self._policy.probe_interval_s
        while time.monotonic() < asks_s and not self._hurry.is_set() and not self._child.exited.done():
            await self._pause(min(self._policy.look_interval_s, self._policy.probe_interval_s))
            await self._judge(self._problem)
        return await self._turn()

    async def _turn(self) -> Probe | None:
        if self._child.exited.done():
            return None
        self._hurry.clear()  # before probing: a failure noted meanwhile asks for another one
        probe = await self._probe_while_looking()
        if probe is None:
            return None
        problem = probe.problem or self._stranger(probe)
        if probe.answered and probe.pid in {None, self._child.pid}:
            self._liveness.answered(time.monotonic())
        else:
            self._liveness.missed()
        self._problem = problem
        await self._judge(problem)
        return replace(probe, problem=problem)

    def _stranger(self, probe: Probe) -> str | None:
        if probe.pid == self._child.pid:
            return None
        return f"port {self._port} is answered by process {probe.pid}, not by our child {self._child.pid}"

    async def _probe_while_looking(self) -> Probe | None:
        """One probe; while it waits, the process is looked at. None when the child exits meanwhile."""
        policy = self._policy
        asked_s = time.monotonic()
        probe = asyncio.ensure_future(self._prober.ask("127.0.0.1", self._port, policy.probe_timeout_s))
        try:
            while True:
                pause_s = min(policy.look_interval_s, policy.slow_probe_s)
                await self._first_of(probe, pause_s)
                if self._child.exited.done():
                    return None
                if probe.done():
                    return probe.result()
                if time.monotonic() - asked_s >= policy.slow_probe_s:
                    self._liveness.slow()
                await self._judge(f"no answer on port {self._port} for {time.monotonic() - asked_s:.1f} s")
        finally:
            probe.cancel()

    async def _judge(self, problem: str | None) -> None:
        """Look at the process, tell the verdict, and kill what is beyond hope."""
        sample = await asyncio.to_thread(look, self._child.pid)
        now_s = time.monotonic()
        if sample is not None:
            self._liveness.looked(now_s, sample)
            self._child.last_rss_bytes = sample.rss_bytes
            if sample.is_stopped:
                problem = f"process {self._child.pid} is stopped (SIGSTOP); `kill -CONT {self._child.pid}` continues it"
        self.verdict(self._liveness.state(now_s), problem)
        if self._liveness.must_be_killed(now_s):
            log.warning("legacy.killed", pid=self._child.pid, reason=problem, uptime_s=self._child.uptime_s)
            self._child.kill()
            await asyncio.shield(self._child.exited)

    async def _pause(self, seconds: float) -> None:
        """Until the time is over, somebody hurries, or the child exits."""
        hurry = asyncio.ensure_future(self._hurry.wait())
        try:
            await self._first_of(hurry, seconds)
        finally:
            hurry.cancel()

    async def _first_of(self, future: asyncio.Future[Any], within_s: float) -> None:
        """Until `future` is done, the child exits, or the time is over."""
        either: set[asyncio.Future[Any]] = {future, self._child.exited}
        await asyncio.wait(either, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
