"""Where two answers to one request differ: status, fields that mean something, JSON by value and order, else bytes.

Nothing is excused here by its name. What moves from answer to answer is found by asking legacy twice: a place where
legacy differs from itself is held to its form only. opendiffy/diffy tells noise from differences in this way.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from proxy.exchange_copy import Answer

MOST_DIFFERENCES: Final = 50  # more tell nothing new
ABSENT: Final = "(absent)"
LONGEST_SHOWN: Final = 120  # characters
# About one connection, one moment, or what the edge decides for native and forwarded replies alike.
LEFT_OUT: Final = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"date", b"vary", b"x-signet-served-by"}
)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,64}")
_INSIDE = object()


@dataclass(frozen=True, slots=True)
class Number:
    text: str  # as it was written: 1 and 1.0 are two things


@dataclass(frozen=True, slots=True)
class Plain:
    """Words that are no memory's: a field's value, names of keys, where a handler failed."""

    text: str


class Pairs(list[tuple[str, Any]]):
    """An object's pairs in their order, repeated keys too."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`path` as body.memories[3].id; values as `Number`, `Pairs`, list, str, bool, None, bytes, `Plain` or ABSENT."""

    path: str
    legacy: Any
    native: Any

    def told(self, *, in_full: bool) -> tuple[str, str]:
        """Both values for people, shortened; without what a text in a body says, unless `in_full`."""
        return _told(self.legacy, in_full=in_full), _told(self.native, in_full=in_full)


def differences(legacy: Answer, native: Answer, *, head_only: bool = False) -> list[Difference]:
    """In the order of the answer, at most MOST_DIFFERENCES; [] when they are equal."""
    found: list[Difference] = []
    for difference in _differences(legacy, native, head_only=head_only):
        found.append(difference)
        if len(found) == MOST_DIFFERENCES:
            break
    return found


def without_moving(found: Collection[Difference], moving: Collection[Difference]) -> list[Difference]:
    """`found` less those at a place in `moving`, where legacy differs from itself, whose values have one form."""
    places = {difference.path for difference in moving}
    return [each for each in found if each.path not in places or _form(each.legacy) != _form(each.native)]


def _differences(legacy: Answer, native: Answer, *, head_only: bool) -> Iterator[Difference]:
    if legacy.status != native.status:
        yield Difference("status", Number(str(legacy.status)), Number(str(native.status)))
    yield from _of_fields(legacy, native)
    if legacy.body == native.body or head_only:
        return
    ours, theirs = _parsed(native.body), _parsed(legacy.body)
    if ours is _INSIDE or theirs is _INSIDE:
        yield Difference("body", legacy.body, native.body)
        return
    inside = list(_of_values(theirs, ours, "body"))
    yield from inside or [Difference("body", legacy.body, native.body)]  # the same values, written otherwise


def _of_fields(legacy: Answer, native: Answer) -> Iterator[Difference]:
    theirs, ours = _fields(legacy), _fields(native)
    for name in sorted(theirs.keys() | ours.keys()):
        if theirs.get(name) != ours.get(name):
            yield Difference(f"headers.{name}", theirs.get(name, ABSENT), ours.get(name, ABSENT))


def _fields(answer: Answer) -> dict[str, Plain]:
    """Lower-case name -> values, joined in their order."""
    found: dict[str, Plain] = {}
    for name, value in answer.fields:
        lower = name.lower()
        if lower not in LEFT_OUT and not lower.startswith(b"access-control-"):
            key, text = lower.decode("latin-1"), value.decode("latin-1")
            found[key] = Plain(f"{found[key].text}, {text}" if key in found else text)
    return found


def _parsed(body: bytes) -> Any:
    """The JSON in it; _INSIDE when it is none."""
    try:
        return json.loads(
            body.decode(), object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        return _INSIDE


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _of_values(legacy: Any, native: Any, path: str) -> Iterator[Difference]:
    if isinstance(legacy, Pairs) and isinstance(native, Pairs):
        yield from _of_objects(legacy, native, path)
    elif type(legacy) is list and type(native) is list:
        for place in range(max(len(legacy), len(native))):
            theirs = legacy[place] if place < len(legacy) else ABSENT
            ours = native[place] if place < len(native) else ABSENT
            yield from _of_values(theirs, ours, f"{path}[{place}]")
    elif type(legacy) is not type(native) or legacy != native:
        yield Difference(path, legacy, native)


def _of_objects(legacy: Pairs, native: Pairs, path: str) -> Iterator[Difference]:
    theirs, ours = dict(legacy), dict(native)
    for key in dict.fromkeys([*theirs, *ours]):
        yield from _of_values(theirs.get(key, ABSENT), ours.get(key, ABSENT), f"{path}.{_key(key)}")
    wanted = [key for key, _ in legacy if key in ours]
    found = [key for key, _ in native if key in theirs]
    if wanted != found:
        names = (Plain(", ".join(map(_key, keys))) for keys in (wanted, found))
        yield Difference(f"{path} (order of keys)", *names)


def _key(key: str) -> str:
    """A key as it is shown: one that is no plain name may be content."""
    return key if _PLAIN_KEY.fullmatch(key) else f'"{_digest(key)}"'


def _form(value: Any) -> str:
    """What stays when a value moves: its type, and a text's shape: 2026-11-21 and 2025-01-02 have one form."""
    if isinstance(value, str) and value is not ABSENT:
        return "id " + re.sub("[0-9a-f]", "0", value) if _ID.fullmatch(value) else "text " + re.sub(r"\d", "0", value)
    if isinstance(value, Plain):
        return _form(value.text)
    if isinstance(value, Number):
        return "number"
    return "absent" if value is ABSENT else type(value).__name__


def _told(value: Any, *, in_full: bool) -> str:
    if value is ABSENT:
        return ABSENT
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Number | Plain):
        return _shortened(value.text)
    if in_full:
        return _shortened(_written(value))
    if isinstance(value, str):
        return f"text of {len(value)} characters, {_digest(value)}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes, {hashlib.sha256(value).hexdigest()[:8]}"
    return f"{'object' if isinstance(value, Pairs) else 'array'} of {len(value)}"


def _written(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Number):
        return value.text
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text)} characters)"


def _digest(text: str) -> str:
    """Tells two texts apart and says nothing of them."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
