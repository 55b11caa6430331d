"""A side must be running until it is stopped, be the one that answers, end in order, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from parity_tests.harness import http
from parity_tests.harness import side as sides
from parity_tests.harness.compare import held_against
from parity_tests.harness.faketime import Clock, NoFaketime, half_past_eleven, has_faketime
from parity_tests.harness.homes import build
from parity_tests.harness.scenario import Scenario, Send
from parity_tests.harness.side import Side, SideError, SideKind, side_kind
from proxy.legacy.find import STAND_IN_PATH
from proxy.legacy.ports import free_port

BASE_S = 1_790_000_000
PROBE = Scenario("here/health", "A probe.", "empty", (Send(1, "GET /health", "GET", "/health"),), (), "digest")


def started(folder: Path, kind: str = "legacy_ts", clock: Clock | None = None, **environment: str) -> Side:
    side = Side(side_kind(kind), folder / "user", clock or Clock(), environment)
    build.clone(build.build("empty", BASE_S), side.home)
    return side.__enter__()


def date_of(side: Side) -> float:
    with http.connect(side.address) as connection:
        connection.send("GET", "/health", [("Host", f"127.0.0.1:{side.port}")], None)
        fields = dict((name.lower(), value) for name, value in connection.read_answer("GET").fields)
    return parsedate_to_datetime(fields["date"]).timestamp()


def test_a_side_that_crashed_after_its_last_answer_fails(tmp_path: Path) -> None:
    side = started(tmp_path)
    assert side.pid is not None
    os.kill(side.pid, signal.SIGKILL)
    os.waitid(os.P_PID, side.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(SideError, match="had ended by itself, with code -9"):
        side.stop()


def wrapped(folder: Path, on_term: str) -> SideKind:
    """legacy_ts that does something of its own when it is stopped."""
    daemon = folder / "daemon.ts"
    daemon.write_text(
        f'process.on("SIGTERM", () => {{ {on_term} }});\n'
        'import { writeFileSync } from "node:fs";\n'
        f'await import("{STAND_IN_PATH}");\n'
    )
    return SideKind("legacy_ts", daemon_path=daemon)


@pytest.mark.parametrize(
    ("on_term", "found"),
    [
        ('writeFileSync(`${process.env.SIGNET_PATH}/late.md`, "late"); process.exit(0);', "here/health#stopped"),
        ("process.exit(3);", "ended with code 3 on SIGTERM"),
    ],
)
def test_what_a_candidate_does_while_it_stops_is_seen(tmp_path: Path, on_term: str, found: str) -> None:
    outcome = held_against({}, PROBE, wrapped(tmp_path, on_term))
    told = [*outcome.problems, *(one.case for one in outcome.comparisons)]
    assert any(found in text for text in told), told


@pytest.mark.parametrize("kind", ["legacy_ts", "native"])  # this one ends by itself, with code 1
def test_an_answer_of_another_process_is_not_taken_for_the_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    stranger = started(tmp_path / "a")
    ports = iter([stranger.port, free_port()])
    monkeypatch.setattr(sides, "free_port", lambda: next(ports))
    try:
        second = started(tmp_path / "b", kind)
        assert second.port != stranger.port
        second.stop()
    finally:
        stranger.stop()


def with_faketime(check: Callable[[], None]) -> None:
    """Recording needs libfaketime; without it the clock says so, and nothing can be recorded wrongly."""
    if has_faketime():
        check()
    else:
        with pytest.raises(NoFaketime):
            Clock(BASE_S).environment()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_a_recordings_clock_starts_at_its_base_whatever_the_time_zone(tmp_path: Path, zone: str) -> None:
    def check() -> None:
        side = started(tmp_path, clock=Clock(BASE_S), TZ=zone)
        assert 0 <= date_of(side) - BASE_S < 60
        side.stop()

    with_faketime(check)


def test_the_native_sides_clock_is_between_those_of_the_recordings_at_any_hour(tmp_path: Path) -> None:
    base_s = half_past_eleven()
    assert datetime.fromtimestamp(base_s, UTC).strftime("%H:%M") == "11:30"
    side = started(tmp_path, "native", Clock(base_s))
    assert 0 <= date_of(side) - base_s < 60
    assert abs(side.now_s() - date_of(side)) < 5
    side.stop()


def test_a_port_that_is_listened_on_counts_as_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        side = Side(side_kind("legacy_ts"), tmp_path, Clock(), port=server.getsockname()[1])
        assert side._is_port_taken()
    deadline = time.monotonic() + 5
    while side._is_port_taken():
        assert time.monotonic() < deadline
