"""JavaScript's Date as Bun has it: `Date.parse` of any text, and `toISOString()`.

A time without a zone is local time of this process, as it is for legacy, which inherits our TZ.
"""

from __future__ import annotations

import re
import time
from datetime import date
from functools import lru_cache
from typing import Final

from native_routes.javascript.date_reading import Moment, NoDateError, read_moment

LAST_MS: Final = 8_640_000_000_000_000  # Source: ECMA-262 TimeClip; beyond it a Date is invalid.
_DAY_S: Final = 86_400
_DAY_MS: Final = _DAY_S * 1000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_CYCLE_YEARS: Final = 400  # the Gregorian calendar repeats
_CYCLE_DAYS: Final = 146_097
# What nearly every row holds: the form that toISOString() writes.
_WRITTEN: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z")


def parse_date(text: str) -> int | None:
    """`Date.parse(text)`: milliseconds since 1970; None where JavaScript has NaN."""
    try:
        moment = _written(text) or read_moment(text)
    except NoDateError:
        return None
    ms = _days_since_1970(moment.year, moment.month, moment.day) * _DAY_MS + moment.ms_of_day
    offset_s = _local_offset_s(ms // 1000) if moment.offset_s is None else moment.offset_s
    ms -= offset_s * 1000
    return ms if abs(ms) <= LAST_MS else None


def iso_text(ms: int) -> str:
    """`new Date(ms).toISOString()`; years beyond four digits carry a sign and six."""
    seconds, milliseconds = divmod(ms, 1000)
    return f"{_until_seconds(seconds)}.{milliseconds:03}Z"


@lru_cache(maxsize=16)
def _until_seconds(seconds: int) -> str:
    days, second_of_day = divmod(seconds, _DAY_MS // 1000)
    cycles, day_of_cycle = divmod(days, _CYCLE_DAYS)
    day = date.fromordinal(_EPOCH_DAY + day_of_cycle)
    year = day.year + cycles * _CYCLE_YEARS
    digits = f"{year:04}" if 0 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06}"
    minutes, second = divmod(second_of_day, 60)
    hour, minute = divmod(minutes, 60)
    return f"{digits}-{day.month:02}-{day.day:02}T{hour:02}:{minute:02}:{second:02}"


def iso_date(text: str) -> str | None:
    """The moment that a client wrote as `toISOString()` writes it; None for blanks and for what is not a date."""
    ms = parse_date(text)
    return None if ms is None else iso_text(ms)


def _written(text: str) -> Moment | None:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, ms = map(int, found.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 59):
        return None
    return Moment(year, month, day, ((hour * 60 + minute) * 60 + second) * 1000 + ms, 0)


def _days_since_1970(year: int, month: int, day: int) -> int:
    cycles, year_of_cycle = divmod(year - 1, _CYCLE_YEARS)  # years 1..400 of a cycle, as Python counts them
    return date(year_of_cycle + 1, month, 1).toordinal() - _EPOCH_DAY + cycles * _CYCLE_DAYS + day - 1


def _local_offset_s(local_s: int) -> int:
    """Seconds east of Greenwich for a local time. Skipped times count by the old offset, repeated ones are the first.

    Source: ECMA-262 LocalTZA.
    """
    old = time.localtime(local_s - _DAY_S).tm_gmtoff
    new = time.localtime(local_s + _DAY_S).tm_gmtoff
    if old == new or time.localtime(local_s - old).tm_gmtoff == old:
        return old
    return new if time.localtime(local_s - new).tm_gmtoff == new else old
