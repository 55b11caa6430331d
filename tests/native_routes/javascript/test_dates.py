"""Dates as Bun reads and writes them. `recorded_dates.json` holds what it answered, by time zone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_routes.javascript.dates import LAST_MS, iso_date, iso_text, parse_date

RECORDED = json.loads(Path(__file__).with_name("recorded_dates.json").read_text())


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def set_zone(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", RECORDED["zones"])
def test_texts_are_read_as_bun_reads_them(zone: str, set_zone: Callable[[str], None]) -> None:
    set_zone(zone)
    column = 1 + RECORDED["zones"].index(zone)
    wrong = [(row[0], row[column], found) for row in RECORDED["dates"] if (found := parse_date(row[0])) != row[column]]
    assert wrong == []


def test_recorded_texts_are_dates_and_no_dates() -> None:
    valid = [row for row in RECORDED["dates"] if row[1] is not None]
    assert len(valid) > 250
    assert len(RECORDED["dates"]) - len(valid) > 100


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (LAST_MS, "+275760-09-13T00:00:00.000Z"),
        (-LAST_MS, "-271821-04-20T00:00:00.000Z"),
        (-62_198_755_200_000, "-000001-01-01T00:00:00.000Z"),
        (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
    ],
)
def test_moments_are_written_as_to_iso_string(ms: int, text: str) -> None:
    assert iso_text(ms) == text


@given(st.integers(-LAST_MS, LAST_MS))
def test_a_written_moment_is_read_back(ms: int) -> None:
    assert parse_date(iso_text(ms)) == ms


@given(st.text())
def test_no_text_makes_reading_fail(text: str) -> None:
    ms = parse_date(text)
    assert ms is None or abs(ms) <= LAST_MS


def test_a_clients_date_becomes_utc_and_blanks_become_none() -> None:
    assert iso_date("2026-01-01T10:00:00+02:00") == "2026-01-01T08:00:00.000Z"
    assert iso_date("  ") is None
