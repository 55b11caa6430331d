"""Reading the daemon's log files back. What is answered for odd lines was answered by Signet 0.58.1."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from native_routes.log_entries import LogQuery, newest_first, recent_entries

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def lines(name: str, *entries: Any) -> None:
        texts = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
        (tmp_path / name).write_text("".join(f"{text}\n" for text in texts))

    return lines


def entry(message: str, time: Any = "2026-01-01T00:00:00.000Z", **others: Any) -> dict[str, Any]:
    return {"timestamp": time, "level": "info", "category": "tea", "message": message, **others}


def messages(entries: list[Any]) -> list[Any]:
    return [one["message"] if isinstance(one, dict) else one for one in entries]


def test_files_come_newest_day_first_and_archives_after_the_one_in_use(tmp_path: Path, write: Write) -> None:
    names = ["signet-2026-01-02.log", "signet-2026-01-02-b.log", "signet-2026-01-02-a.log", "signet-2026-01-01.log"]
    for name in [*names, "signet-2026-1-3.log", "other-2026-01-03.log", "signet-2026-01-03.log.1"]:
        write(name)
    assert [path.name for path in newest_first(tmp_path)] == names
    assert newest_first(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("limit", "found"),
    [(1, ["e"]), (2, ["d", "e"]), (100, list("abcde")), (0, []), (-1, []), (math.nan, list("abcde"))],
)  # fmt: skip
def test_limit_takes_the_last_entries(tmp_path: Path, write: Write, limit: float, found: list[str]) -> None:
    write("signet-2026-01-01.log", *(entry(name, f"2026-01-01T0{place}:00Z") for place, name in enumerate("abc")))
    write("signet-2026-01-02.log", entry("d", "2026-01-02"), entry("e", "2026-01-03"))
    assert messages(recent_entries(tmp_path, LogQuery(limit))) == found


def test_each_file_is_cut_before_it_is_filtered(tmp_path: Path, write: Write) -> None:
    write("signet-2026-01-01.log", entry("early"), *(entry(str(n), category="coffee") for n in range(4)))
    assert recent_entries(tmp_path, LogQuery(2, category="tea")) == []
    assert messages(recent_entries(tmp_path, LogQuery(3, category="tea"))) == ["early"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (LogQuery(level="info"), ["info", "error", "odd", "none"]), (LogQuery(level="error"), ["error", "odd", "none"]),
        (LogQuery(level="ERROR"), ["debug", "info", "error", "odd", "none"]), (LogQuery(level=""), 5),
        (LogQuery(level="toString"), 5), (LogQuery(since_ms=2), ["info", "error", "odd", "none"]),
        (LogQuery(since_ms=10**15), ["none"]),
    ],
)  # fmt: skip
def test_filters_leave_what_they_cannot_judge(tmp_path: Path, write: Write, query: LogQuery, found: Any) -> None:
    write(
        "signet-2026-01-01.log",
        entry("debug", 1, level="debug"), entry("info", 2), entry("error", 3, level="error"),
        entry("odd", 4, level="odd"), {"message": "none"},
    )  # fmt: skip
    shown = messages(recent_entries(tmp_path, query))
    assert (len(shown) if isinstance(found, int) else shown) == found


def test_lines_that_are_no_json_are_left_out(tmp_path: Path, write: Write) -> None:
    (tmp_path / "signet-2026-01-01.log").write_bytes(
        b'\xef\xbb\xbf{"message":"a"}\r\n\n  \n{"message":"cut\n{"message":"\xff"}\nNaN\n"text"\n'
    )
    assert messages(recent_entries(tmp_path, LogQuery())) == ["a", "\ufffd", "text"]
    assert messages(recent_entries(tmp_path, LogQuery(category="x"))) == []


def test_entries_are_sorted_by_time_whatever_its_form(tmp_path: Path, write: Write) -> None:
    write("signet-2026-01-02.log", entry("second", 1000), entry("third", [2026]), entry("first", None))
    assert messages(recent_entries(tmp_path, LogQuery())) == ["first", "second", "third"]


def test_a_null_among_the_entries_ends_the_sorting(tmp_path: Path, write: Write) -> None:
    write("signet-2026-01-02.log", entry("late", "2026-01-02"), "null", entry("early", "2026-01-01"))
    assert messages(recent_entries(tmp_path, LogQuery())) == ["late", None, "early"]
    assert messages(recent_entries(tmp_path, LogQuery(level="debug"))) == ["early", "late"]
