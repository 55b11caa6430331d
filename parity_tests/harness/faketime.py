"""The clock of a side: the real one, or one that starts at a chosen base and moves on.

A daemon under Bun gets it from libfaketime; the native side, which is ours, shifts its own (`native_server.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as time_of_day
from pathlib import Path
from typing import Final

_PLACES: Final = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime")
_NAME: Final = "libfaketime.so.1"
_BETWEEN_RECORDINGS: Final = time_of_day(11, 30, tzinfo=UTC)


class NoFaketime(Exception):
    """libfaketime is not installed; recording needs it, nothing else does."""


@dataclass(slots=True)
class Clock:
    """Real when `base_s` is None."""

    base_s: int | None = None
    shift_s: float = 0.0
    _started: bool = False

    def start(self) -> None:
        """A process starts now. A faked clock begins at its base, and goes on from there when a side is restarted."""
        if self.base_s is None:
            return
        if self._started:
            self.base_s = round(self.now_s()) + 1
        self._started = True
        self.shift_s = self.base_s - time.time()

    def now_s(self) -> float:
        return time.time() + self.shift_s

    def environment(self) -> dict[str, str]:
        """What makes a child see this clock. Raises NoFaketime."""
        if self.base_s is None:
            return {}
        return {
            "LD_PRELOAD": str(find_faketime()),
            # A clock that stands still would stop timeouts; @ lets it move on from the start.
            "FAKETIME": f"@{self.base_s}",
            "FAKETIME_FMT": "%s",  # a date would be read as local time, and a scenario may set TZ
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }


def half_past_eleven() -> int:
    """Today at a time of day between those of the two recordings: what both agree on, such as which rows are of
    today, holds then too, and not always around midnight."""
    return int(datetime.combine(datetime.fromtimestamp(time.time(), UTC).date(), _BETWEEN_RECORDINGS).timestamp())


def find_faketime(places: Iterable[str] = _PLACES) -> Path:
    """The library. Raises NoFaketime with how to install it."""
    for place in places:
        for folder in sorted(Path("/").glob(place.lstrip("/"))):
            if (folder / _NAME).is_file():
                return folder / _NAME
    raise NoFaketime(
        f"{_NAME} was not found in {', '.join(places)}. `record` needs it, so that SQLite's clock moves too. "
        "Install it (Debian, Ubuntu: apt install libfaketime; Fedora: dnf install libfaketime); replay and live "
        "do without."
    )


def has_faketime() -> bool:
    try:
        find_faketime()
    except NoFaketime:
        return False
    return True
