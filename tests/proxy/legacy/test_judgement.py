"""Liveness and restart policy: pure rules, with the clock in the test's hand and DESIGN's real times."""

from __future__ import annotations

import random

from proxy.legacy.liveness import Liveness
from proxy.legacy.policy import RestartPolicy, Restarts
from proxy.legacy.processes import ProcessSample
from proxy.legacy.status import LegacyState

POLICY = RestartPolicy()


def sleeping(cpu_s: float) -> ProcessSample:
    return ProcessSample("S", cpu_s, 0)


def silent(seconds: int, *, cpu_share: float, state: str = "S") -> tuple[Liveness, float | None]:
    """A daemon that is looked at each second, misses a probe every five, and when it is to be killed."""
    liveness = Liveness(POLICY, 0.0)
    for second in range(1, seconds + 1):
        liveness.looked(float(second), ProcessSample(state, second * cpu_share, 0))
        if second % 5 == 0:
            liveness.missed()
        if liveness.must_be_killed(float(second)):
            return liveness, float(second)
    return liveness, None


def test_a_silent_daemon_without_progress_is_killed_after_the_grace_window_and_not_before() -> None:
    _, killed_s = silent(120, cpu_share=0.0)
    assert killed_s == 60.0


def test_the_little_that_an_idle_event_loop_computes_is_no_progress() -> None:
    _, killed_s = silent(120, cpu_share=0.01)
    assert killed_s == 60.0


def test_a_daemon_that_computes_is_killed_only_at_the_ceiling() -> None:
    _, killed_s = silent(1_000, cpu_share=0.9)
    assert killed_s == 900.0


def test_a_daemon_that_waits_for_a_processor_or_a_disk_is_progressing() -> None:
    assert silent(600, cpu_share=0.0, state="R")[1] is None
    assert silent(600, cpu_share=0.0, state="D")[1] is None


def test_stalls_of_17_and_45_seconds_kill_nothing() -> None:
    for stall in (3, 17, 45):
        liveness, killed_s = silent(stall, cpu_share=0.0)
        assert killed_s is None
        liveness.answered(float(stall))
        assert liveness.state(float(stall)) is LegacyState.READY


def test_one_failed_probe_is_busy_and_three_without_progress_are_wedged() -> None:
    liveness = Liveness(POLICY, 0.0)
    liveness.missed()
    assert liveness.state(1.0) is LegacyState.BUSY
    liveness.missed()
    liveness.missed()
    assert liveness.state(4.0) is LegacyState.BUSY
    assert liveness.state(5.0) is LegacyState.WEDGED


def test_a_stopped_process_is_wedged_before_any_probe_fails() -> None:
    liveness = Liveness(POLICY, 0.0)
    liveness.looked(0.5, ProcessSample("T", 1.0, 0))
    assert liveness.state(0.5) is LegacyState.WEDGED
    liveness.looked(1.5, sleeping(1.0))
    assert liveness.state(1.5) is LegacyState.READY


def test_pauses_grow_from_half_a_second_to_thirty_and_are_spread() -> None:
    restarts = Restarts(RestartPolicy(breaker_exits=100), random.Random(1))
    pauses = [restarts.pause_after_exit(now_s * 1000.0) for now_s in range(10)]
    assert 0.375 <= pauses[0] <= 0.625
    assert all(pause <= 30 * 1.25 for pause in pauses)
    assert pauses[-1] >= 30 * 0.75
    assert len(set(pauses)) == len(pauses)


def test_five_exits_in_a_minute_open_the_breaker_and_one_try_follows_every_five_minutes() -> None:
    restarts = Restarts(POLICY)
    assert [restarts.pause_after_exit(n * 10.0) >= 300 for n in range(5)] == [False, False, False, False, True]
    assert restarts.is_broken
    assert restarts.pause_after_exit(400.0) == 300.0, "the try failed: open again at once"


def test_five_exits_in_more_than_a_minute_are_no_crash_loop() -> None:
    restarts = Restarts(POLICY)
    assert not any(restarts.pause_after_exit(n * 16.0) >= 300 for n in range(5))


def test_a_minute_of_health_forgets_earlier_exits() -> None:
    restarts = Restarts(POLICY)
    for n in range(5):
        restarts.pause_after_exit(float(n))
    restarts.healthy_for(59.0)
    assert restarts.pause_after_exit(5.0) == 300.0
    restarts.healthy_for(60.0)
    assert restarts.pause_after_exit(6.0) < 1.0
