"""Busy or wedged: judged from probes and from what the process uses. Pure; the caller says what time it is."""

from __future__ import annotations

from proxy.legacy.policy import RestartPolicy
from proxy.legacy.processes import ProcessSample
from proxy.legacy.status import LegacyState


class Liveness:
    """One child from its start. All times are monotonic seconds.

    A probe that fails never condemns by itself: legacy blocks its only thread for seconds to minutes on big databases,
    and a kill then resets work that the next boot begins anew.
    """

    def __init__(self, policy: RestartPolicy, now_s: float) -> None:
        self._policy = policy
        self._answered_s = now_s
        self._progress_s = now_s
        self._looked: tuple[float, ProcessSample] | None = None
        self._failures = 0
        self._slow = False
        self._stopped = False

    def answered(self, now_s: float) -> None:
        self._answered_s = self._progress_s = now_s
        self._failures = 0
        self._slow = self._stopped = False

    def missed(self) -> None:
        """A probe failed."""
        self._failures += 1

    def slow(self) -> None:
        """A probe is under way for longer than usual."""
        self._slow = True

    def looked(self, now_s: float, sample: ProcessSample) -> None:
        """Take in how the process is doing; progress is measured from look to look."""
        before, self._looked = self._looked, (now_s, sample)
        self._stopped = sample.is_stopped
        if self._stopped or before is None:
            return
        used_s = sample.cpu_s - before[1].cpu_s
        if sample.wants_to_run or used_s >= self._policy.progress_share * (now_s - before[0]):
            self._progress_s = now_s

    def state(self, now_s: float) -> LegacyState:
        """READY, BUSY or WEDGED. A stopped process is wedged at once; it may be continued and is then ready again."""
        quiet = now_s - self._progress_s >= self._policy.quiet_s
        if self._stopped or (quiet and self._failures >= self._policy.failed_probes):
            return LegacyState.WEDGED
        return LegacyState.BUSY if self._failures or self._slow else LegacyState.READY

    def must_be_killed(self, now_s: float) -> bool:
        """Enough failed probes, and silent for the grace window without progress, or for the ceiling in any case."""
        silent_s = now_s - self._answered_s
        if self._failures < self._policy.failed_probes or silent_s < self._policy.grace_s:
            return False
        return now_s - self._progress_s >= self._policy.grace_s or silent_s >= self._policy.busy_ceiling_s
