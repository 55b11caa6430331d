"""Time and ids as JavaScript gives them."""

from __future__ import annotations

import re
import time

from native_routes.outside import SystemClock, new_id, now_text


class StoppedClock:
    def now_ms(self) -> int:
        return 1_767_225_600_007


def test_now_is_written_as_the_database_keeps_it() -> None:
    assert now_text(StoppedClock()) == "2026-01-01T00:00:00.007Z"


def test_the_systems_clock_counts_whole_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= SystemClock().now_ms() <= time.time_ns() // 1_000_000


def test_ids_are_random_version_4_uuids_in_lower_case() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    form = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(form.fullmatch(id) for id in ids)
