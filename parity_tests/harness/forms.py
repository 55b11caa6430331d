"""The forms that a moving value may have. Each says how it is recognised, written down, and checked in a candidate.

A placeholder stands between « and » inside recorded text: «id:3», «iso:now+0». One that stands for a JSON number
starts with #: «#duration». A « that the daemon itself wrote is doubled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from parity_tests.harness.signed_token import token_claims, token_matches

TOLERANCE_S: Final = 90.0  # a time zone or a stale value is off by more; a busy machine by less
AHEAD_TOLERANCE_S: Final = 25.0  # of a time to come, which is a deadline: one in a minute is not one that is over
_AHEAD_STEP_S: Final = 10
_MINUTE_S: Final = 60
_DAY_S: Final = 86_400
_EPOCH_RANGE_S: Final = 400 * _DAY_S  # numbers within this of now may be points in time

_SPAN = re.compile(
    r"(?P<token>\b[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{43}\b)"
    r"|(?P<iso>\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)"
    r"|(?P<sql>\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)"
    r"|(?P<http>\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT)"
    r"|(?P<id>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)"
    r"|(?P<date>\b\d{4}-\d\d-\d\d\b)"
    r"|(?P<hex>\b[0-9a-f]{16,64}\b)"
)
_PLACEHOLDER = re.compile(r"««|«([^«»]*)»")
_DAY_EDGES: Final = frozenset({"T00:00:00.000Z", "T23:59:59.999Z"})
_OFFSET = re.compile(r"now([+-]\d+)")
DURATION_KEYS: Final = frozenset({"duration", "durationMs", "duration_ms", "latencyMs", "latency_ms", "elapsedMs"})
COUNTDOWN_KEYS: Final = frozenset({"retryAfter", "retry-after", "retryAfterSeconds"})
LATENCY_KEYS: Final = frozenset({"p50", "p95", "p99", "mean", "avg", "min", "max"})
RULE_FORMS: Final = frozenset({"integer", "number", "text", "duration", "near", "elapsed"})
"""Forms that a rule may give to a field that nothing else types."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When and where one answer was given, by the clock of the side that gave it; seconds since 1970."""

    started_s: float
    ended_s: float
    booted_s: float
    secret: bytes | None = None  # of its tokens


@dataclass(slots=True)
class Aliases:
    """Which value of this recording each numbered id stands for; one to one in both directions."""

    by_number: dict[int, str] = field(default_factory=dict)
    by_value: dict[str, int] = field(default_factory=dict)

    def number(self, value: str) -> int:
        if value not in self.by_value:
            self.bind(len(self.by_value) + 1, value)
        return self.by_value[value]

    def bind(self, number: int, value: str) -> bool:
        """False when the number or the value already belongs to another."""
        known = self.by_number.setdefault(number, value)
        return known == value and self.by_value.setdefault(value, number) == number


Span = tuple[str, str]
"""Form and text; form "" is literal text."""


def spans(text: str) -> list[Span]:
    """The text cut into literal parts and parts that have a form."""
    out, at = [], 0
    for found in _SPAN.finditer(text):
        if found.start() > at:
            out.append(("", text[at : found.start()]))
        out.append((found.lastgroup or "", found[0]))
        at = found.end()
    if at < len(text):
        out.append(("", text[at:]))
    return out


def masked(text: str) -> str:
    """The text with ids and times replaced by their form: a key for sorting that two recordings share.

    Runs of hex digits stay: most are digests of what does not move.
    """
    return _SPAN.sub(lambda found: found[0] if found.lastgroup == "hex" else f"«{found.lastgroup}»", text)


def describe(form: str, text: str, moment: Moment, aliases: Aliases) -> str | None:
    """The placeholder for a value that moved; None when it has no believable meaning."""
    if form in {"id", "hex"}:
        return f"{form if form == 'id' else f'hex{len(text)}'}:{aliases.number(text)}"
    if form == "token":
        claims = token_claims(text, moment.started_s)
        return None if claims is None else f"token:{claims}"
    if form == "date":
        return f"date:now{(date.fromisoformat(text) - _date(moment.started_s)).days:+d}"
    if form == "iso" and text[10:] in _DAY_EDGES:
        return f"edge{text[10:]}:now{(date.fromisoformat(text[:10]) - _date(moment.started_s)).days:+d}"
    at = _seconds(form, text)
    return None if at is None else f"{_shape(form, text)}:now{_offset(at - moment.started_s):+d}"


def fits(placeholder: str, text: str, moment: Moment, aliases: Aliases) -> bool:
    """Whether a candidate's text is what the placeholder stands for."""
    form, _, detail = placeholder.rpartition(":") if placeholder.startswith("edge") else placeholder.partition(":")
    if form == "id" or form.startswith("hex"):
        return _has_form("id" if form == "id" else "hex", text, form) and aliases.bind(int(detail), text)
    if form == "token":
        return token_matches(detail, text, moment.started_s, moment.secret)
    if form == "text":
        return bool(text)
    found = _OFFSET.fullmatch(detail)
    if found is None:
        return number_fits(placeholder, text, moment)
    return _time_fits(form, int(found[1]), text, moment)


def _time_fits(form: str, offset: int, text: str, moment: Moment) -> bool:
    if form == "date" or form.startswith("edge"):
        edge = form.removeprefix("date").removeprefix("edge")
        allowed = {_date(at) + timedelta(days=offset) for at in (moment.started_s, moment.ended_s)}
        return text in {day.isoformat() + edge for day in allowed}
    base = form.partition("/")[0]
    at = _seconds(base, text)
    return at is not None and _shape(base, text) == form and _near(at, moment, offset)


def describe_number(key: str, text: str, moment: Moment) -> str | None:
    """The placeholder, without #, for a number that moved or whose name says that it will."""
    value = float(text)
    kind = "integer" if _is_integer(text) else "decimal"
    if key == "uptime" and abs(value - (moment.ended_s - moment.booted_s)) < 5:
        return f"uptime:{kind}"
    if key in DURATION_KEYS and 0 <= value <= _longest_ms(moment):
        return "duration"
    if key in COUNTDOWN_KEYS:
        return f"near:{text}"
    for form, unit in (("ms", 1000.0), ("s", 1.0)):
        if abs(value / unit - moment.started_s) < _EPOCH_RANGE_S:
            return f"{form}/{kind}:now{_offset(value / unit - moment.started_s):+d}"
    return None


def describe_age(first: str, second: str, at_first: Moment, at_second: Moment) -> str | None:
    """The placeholder for two numbers that both count from one fixed moment; None when they do not."""
    passed = at_second.started_s - at_first.started_s
    for form, unit in (("age/ms", 1000.0), ("age/s", 1.0), ("age/d", 1.0 / _DAY_S)):
        grown = float(second) / unit - float(first) / unit
        far_apart = abs(passed) > _DAY_S and abs(grown - passed) < (5 if unit >= 1 else _DAY_S)
        # Two runs seconds apart say little of a whole number, which could be any count.
        if far_apart or (not _is_integer(first) and abs(passed) > 1 and abs(grown - passed) < 0.5 and unit >= 1):
            return f"{form}:{at_first.started_s - float(first) / unit:.0f}"
    return None


def number_fits(placeholder: str, text: str, moment: Moment) -> bool:
    form, _, detail = placeholder.partition(":")
    try:
        value = float(text)
    except ValueError:
        return False
    if form in {"integer", "number"}:
        return form == "number" or _is_integer(text)
    if form == "duration":
        return 0 <= value <= _longest_ms(moment)
    if form == "uptime":
        return _is_integer(text) >= (detail == "integer") and abs(value - (moment.ended_s - moment.booted_s)) < 5
    if form.startswith("age/"):
        unit_s = {"age/ms": 0.001, "age/s": 1.0, "age/d": float(_DAY_S)}[form]
        return abs(moment.started_s - value * unit_s - float(detail)) < max(TOLERANCE_S, unit_s)
    if form == "elapsed":
        return abs(value - float(detail)) <= TOLERANCE_S * (1000 if abs(float(detail)) >= 1e5 else 1)
    if form == "near":
        return abs(value - float(detail)) <= max(2.0, abs(float(detail)) * 0.1)
    unit, _, kind = form.partition("/")
    found = _OFFSET.fullmatch(detail)
    if found is None or unit not in {"ms", "s"} or (kind == "integer" and not _is_integer(text)):
        return False
    return _near(value / (1000.0 if unit == "ms" else 1.0), moment, int(found[1]))


def escape(text: str) -> str:
    return text.replace("«", "««")


def template(text: str) -> list[Span]:
    """Recorded text cut into ("", literal) and ("placeholder", inside) parts; what names surroundings stays literal."""
    out: list[Span] = []
    at = 0
    for found in _PLACEHOLDER.finditer(text):
        if found[1] is None or (":" not in found[1] and found[1] not in {"text"}):
            continue
        if found.start() > at:
            out.append(("", text[at : found.start()]))
        out.append(("placeholder", found[1]))
        at = found.end()
    if at < len(text):
        out.append(("", text[at:]))
    return out


def is_placeholder(text: str) -> bool:
    return any(kind for kind, _ in template(text)) or text.startswith("«#")


_PATTERNS: Final[Mapping[str, str]] = {
    "id": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "token": r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
    "http": r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
    "date": r"\d{4}-\d\d-\d\d",
    "text": r"(?s:.+)",
}


def pattern_of(placeholder: str) -> str:
    """A regular expression for where the placeholder's value may stand in a text."""
    form = placeholder.partition(":")[0].partition("/")[0]
    if form.startswith("edge"):
        form = "iso"
    if form.startswith("hex"):
        return rf"[0-9a-f]{{{form[3:]}}}"
    if form in {"iso", "sql"}:
        return r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"
    return _PATTERNS.get(form, r"-?[0-9.eE+-]+")


def _shape(form: str, text: str) -> str:
    """Fraction digits and zone are part of a time's form: iso/3Z, sql/0."""
    if form == "http":
        return form
    fraction = re.search(r"\.(\d+)", text)
    zone = re.search(r"(Z|[+-]\d\d:\d\d)$", text) if form == "iso" else None
    return f"{form}/{len(fraction[1]) if fraction else 0}{zone[0] if zone else ''}"


def _seconds(form: str, text: str) -> float | None:
    try:
        if form == "http":
            return parsedate_to_datetime(text).timestamp()
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _near(at: float, moment: Moment, offset: int) -> bool:
    tolerance = AHEAD_TOLERANCE_S if offset > 0 else TOLERANCE_S
    return moment.started_s - tolerance <= at - offset <= moment.ended_s + tolerance


def _offset(seconds: float) -> int:
    """What lies behind moves with the pace of a run, what lies ahead does not."""
    if seconds >= _AHEAD_STEP_S:
        return round(seconds / _AHEAD_STEP_S) * _AHEAD_STEP_S
    return 0 if seconds > -_MINUTE_S else round(seconds / _MINUTE_S) * _MINUTE_S


def _date(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def _has_form(form: str, text: str, wanted: str) -> bool:
    found = _SPAN.fullmatch(text)
    # A run of digits of an id's length can also be read as hex.
    return found is not None and found.lastgroup == form and (form == "id" or f"hex{len(text)}" == wanted)


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"-?\d+", text) is not None


def _longest_ms(moment: Moment) -> float:
    return (moment.ended_s - moment.booted_s) * 1000 + 1000
