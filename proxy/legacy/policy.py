"""When a child is started again, and when no longer."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Every time the supervisor waits for, in seconds. The defaults are DESIGN 7's; tests use shorter ones."""

    backoff_first_s: float = 0.5
    backoff_most_s: float = 30.0
    jitter: float = 0.25  # each pause is up to this share longer or shorter
    healthy_reset_s: float = 60.0  # healthy for so long forgets earlier exits
    breaker_exits: int = 5
    breaker_window_s: float = 60.0
    breaker_retry_s: float = 300.0

    probe_interval_s: float = 2.0
    boot_probe_interval_s: float = 0.05
    probe_timeout_s: float = 5.0  # legacy may wait 5 s for a writer with its event loop blocked
    slow_probe_s: float = 1.2
    look_interval_s: float = 1.0
    lock_interval_s: float = 5.0
    failed_probes: int = 3
    quiet_s: float = 5.0  # without progress for so long, a silent daemon is called wedged
    grace_s: float = 60.0  # ... and for so long, it is killed
    busy_ceiling_s: float = 900.0  # silent for so long, it is killed even while it computes
    progress_share: float = 0.05  # of one processor; an idle Bun uses less, and that is no progress

    boots_after_migration: int = 2
    planned_stop_s: float = 15.0  # for the stop between two boots; legacy drains its workers first


class Restarts:
    """Counts exits and says how long to wait. `now_s` is a monotonic time given by the caller."""

    def __init__(self, policy: RestartPolicy, random_share: random.Random | None = None) -> None:
        self._policy = policy
        self._random = random_share or random.Random()
        self._exits: deque[float] = deque(maxlen=policy.breaker_exits)
        self._failures = 0
        self._half_open = False
        self.is_broken = False

    def healthy_for(self, seconds: float) -> None:
        """The child has been healthy for so long."""
        if seconds >= self._policy.healthy_reset_s:
            self._exits.clear()
            self._failures = 0
            self.is_broken = self._half_open = False

    def pause_after_exit(self, now_s: float) -> float:
        """Seconds until the next start. Sets `is_broken` when the breaker opens."""
        policy = self._policy
        self._exits.append(now_s)
        crowded = len(self._exits) == policy.breaker_exits and now_s - self._exits[0] <= policy.breaker_window_s
        if crowded or self._half_open:
            # From here on one try per pause: an exit during such a try opens the breaker again at once.
            self.is_broken = self._half_open = True
            return policy.breaker_retry_s
        return self.pause_after_failure()

    def pause_after_failure(self) -> float:
        """Seconds until the next try after something that ended no child, a taken port for example."""
        policy = self._policy
        pause = min(policy.backoff_most_s, policy.backoff_first_s * 2.0**self._failures)
        self._failures = min(self._failures + 1, 32)
        return pause * (1 + policy.jitter * (2 * self._random.random() - 1))
