"""What the pieces of a date say: ISO 8601 where they follow it, else the lenient reading that browsers share."""

from __future__ import annotations

from dataclasses import dataclass, field

from native_routes.javascript.date_tokens import ZONE_HOURS, Kind, Token, tokens


class NoDateError(ValueError):
    """The text is not a date."""


@dataclass(frozen=True, slots=True)
class Moment:
    year: int
    month: int  # 1..12
    day: int  # 1..31, also in a shorter month: then the days run into the next
    ms_of_day: int  # up to 24:00
    offset_s: int | None  # east of Greenwich; None = local time


@dataclass(slots=True)
class _Zone:
    sign: int | None = None
    hour: int | None = None
    minute: int | None = None

    def offset_s(self) -> int | None:
        if self.sign is None:
            return None
        seconds = ((self.hour or 0) * 3600 + (self.minute or 0) * 60) % 2**32  # as 32 bits without a sign
        if seconds >= 2**31:
            raise NoDateError
        return self.sign * seconds

    def set_hours(self, hours: int) -> None:
        self.sign, self.hour, self.minute = (-1 if hours < 0 else 1), abs(hours), 0


@dataclass(slots=True)
class _Reading:
    """The pieces from `at` on are still to be read."""

    pieces: list[Token]
    at: int = 0
    days: list[int] = field(default_factory=list)  # year, month and day in an order that is decided at the end
    month: int | None = None  # when it was named
    iso: bool = False
    clock: list[int] = field(default_factory=list)  # hour, minute, second, millisecond
    noon: int | None = None  # 0 for am, 12 for pm
    zone: _Zone = field(default_factory=_Zone)

    @property
    def next(self) -> Token:
        return self.pieces[self.at]

    def take(self) -> Token:
        token = self.pieces[self.at]
        if token.kind is not Kind.END:
            self.at += 1
        return token

    def skip(self, sign: str) -> bool:
        if self.next.is_sign(sign):
            self.at += 1
            return True
        return False

    def number(self, digits: int, low: int, high: int) -> int:
        """The next piece, which must be a number of so many digits within bounds."""
        token = self.take()
        if not (token.is_digits(digits) and low <= token.number <= high):
            raise NoDateError
        return token.number

    def add_day(self, number: int) -> None:
        if len(self.days) == 3:
            raise NoDateError
        self.days.append(number)

    def add_time(self, number: int) -> None:
        if len(self.clock) == 4:
            raise NoDateError
        self.clock.append(number)

    def end_time(self, number: int) -> None:
        self.clock = [*self.clock, number, 0, 0, 0][:4]


def read_moment(text: str) -> Moment:
    """Raises NoDateError."""
    reading = _Reading(tokens(text))
    if not _read_iso(reading):
        _read_leniently(reading)
    year, month, day = _day(reading)
    return Moment(year, month, day, _ms_of_day(reading), reading.zone.offset_s())


def _read_iso(reading: _Reading) -> bool:
    """Whether the whole text was an ISO date. Otherwise what is read so far counts, and the rest is read leniently."""
    if not _read_iso_day(reading):
        return False
    if reading.next.is_word("t"):
        reading.take()
        _read_iso_time(reading)
        if reading.next.kind is not Kind.END:
            raise NoDateError
    elif reading.next.kind is not Kind.END:
        return False
    if reading.zone.sign is None and not reading.clock:
        reading.zone.set_hours(0)  # Source: ECMA-262: a date alone is UTC, a date with a time is local.
    reading.iso = True
    return True


def _read_iso_day(reading: _Reading) -> bool:
    if reading.next.is_sign("+", "-"):
        if not reading.pieces[reading.at + 1].is_digits(6):
            return False
        negative, year = reading.take().text == "-", reading.take().number
        if negative and year == 0:
            return False
        reading.days.append(-year if negative else year)
    elif reading.next.is_digits(4):
        reading.days.append(reading.take().number)
    else:
        return False
    for highest in (12, 31):
        if not reading.skip("-"):
            break
        if not (reading.next.is_digits(2) and 1 <= reading.next.number <= highest):
            return False
        reading.days.append(reading.take().number)
    return True


def _read_iso_time(reading: _Reading) -> None:
    hour = reading.number(2, 0, 24)
    within_hour = 0 if hour == 24 else 59
    if not reading.skip(":"):
        raise NoDateError
    reading.clock += [hour, reading.number(2, 0, within_hour)]
    if reading.skip(":"):
        reading.clock.append(reading.number(2, 0, within_hour))
        if reading.skip("."):
            token = reading.take()
            if token.kind is not Kind.NUMBER or (hour == 24 and token.number):
                raise NoDateError
            reading.clock.append(token.milliseconds)
    if reading.next.is_word("z"):
        reading.take()
        reading.zone.set_hours(0)
    elif reading.next.is_sign("+", "-"):
        _read_iso_offset(reading)


def _read_iso_offset(reading: _Reading) -> None:
    zone = reading.zone
    zone.sign = 1 if reading.take().text == "+" else -1
    if reading.next.is_digits(4):
        zone.hour, zone.minute = divmod(reading.take().number, 100)
        if zone.hour > 23 or zone.minute > 59:
            raise NoDateError
        return
    zone.hour = reading.number(2, 0, 23)
    if not reading.skip(":"):
        raise NoDateError
    zone.minute = reading.number(2, 0, 59)


def _read_leniently(reading: _Reading) -> None:
    seen_number = bool(reading.days)
    while (token := reading.take()).kind is not Kind.END:
        zone = reading.zone
        if token.kind is Kind.NUMBER:
            seen_number = True
            _read_number(reading, token)
        elif token.kind is Kind.WORD:
            _read_word(reading, token, seen_number=seen_number)
        elif token.is_sign("+", "-") and (reading.clock or (zone.hour == 0 and zone.minute == 0)):
            seen_number = True
            _read_offset(reading, token)
        elif token.is_sign("+", "-", ")") and seen_number:
            raise NoDateError


def _read_number(reading: _Reading, token: Token) -> None:
    number, clock, zone = token.number, reading.clock, reading.zone
    expected = 1 <= len(clock) <= 3 and number < (60, 60, 1000)[len(clock) - 1]  # as the next part of the time
    if reading.skip(":"):
        if reading.skip(":"):
            if clock:
                raise NoDateError
            clock += [number, 0]
        else:
            reading.add_time(number)
            reading.skip(".")
    elif reading.skip(".") and expected:
        reading.add_time(number)
        fraction = reading.take()
        if fraction.kind is not Kind.NUMBER:
            raise NoDateError
        reading.end_time(fraction.milliseconds)
    elif zone.hour is not None and zone.minute is None and number < 60:
        zone.minute = number
    elif expected:
        reading.end_time(number)
        after = reading.next
        if not (after.kind in (Kind.END, Kind.SPACE) or after.is_word("z") or after.is_sign("+", "-")):
            raise NoDateError
    else:
        reading.add_day(number)
        reading.skip("-")


def _read_word(reading: _Reading, token: Token, *, seen_number: bool) -> None:
    if token.text in ("am", "pm") and reading.clock:
        reading.noon = 12 if token.text == "pm" else 0
    elif token.month is not None:
        reading.month = token.month
        reading.skip("-")
    elif token.text in ZONE_HOURS and seen_number:
        reading.zone.set_hours(ZONE_HOURS[token.text])
    elif seen_number or reading.next.kind is Kind.NUMBER:
        raise NoDateError  # other words may only stand before the first number, and apart from it


def _read_offset(reading: _Reading, sign: Token) -> None:
    zone, token = reading.zone, reading.next
    zone.sign = 1 if sign.text == "+" else -1
    if token.kind is Kind.NUMBER:
        reading.take()
    if reading.next.is_sign(":"):
        zone.hour, zone.minute = token.number, None
    elif token.kind is Kind.NUMBER and len(token.text) <= 2:
        zone.hour, zone.minute = token.number, 0
    elif token.kind is Kind.NUMBER and len(token.text) <= 4:
        zone.hour, zone.minute = divmod(token.number, 100)
    else:
        raise NoDateError


def _day(reading: _Reading) -> tuple[int, int, int]:
    """Year, month and day, by whether the first number can be a day of a month; what is missing is 1."""
    if not reading.days:
        raise NoDateError
    a, b, c = (*reading.days, 1, 1)[:3]
    starts_with_day = 1 <= a <= 31
    if reading.month is not None:
        year, month, day = (b, reading.month, a) if starts_with_day else (a, reading.month, b)
    elif reading.iso or not starts_with_day:
        year, month, day = a, b, c
    else:
        year, month, day = c, a, b
    if not reading.iso and 0 <= year <= 99:
        year += 2000 if year < 50 else 1900
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise NoDateError
    return year, month, day


def _ms_of_day(reading: _Reading) -> int:
    hour, minute, second, ms = (*reading.clock, 0, 0, 0, 0)[:4]
    if reading.noon is not None:
        if hour > 12:
            raise NoDateError
        hour = hour % 12 + reading.noon
    at_end = hour == 24 and minute == second == ms == 0
    if not at_end and (hour > 23 or minute > 59 or second > 59 or ms > 999):
        raise NoDateError
    return ((hour * 60 + minute) * 60 + second) * 1000 + ms
