"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "degraded", "unusable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` is there, `expected` is what should be, `fix` is what to do; the last two are empty when all is well."""

    level: Level
    about: str
    what: str
    expected: str = ""
    fix: str = ""


def ok(about: str, what: str) -> Finding:
    return Finding("ok", about, what)


def degraded(about: str, what: str, *, expected: str, fix: str) -> Finding:
    """The proxy runs, but something is missing, risky or about to fail."""
    return Finding("degraded", about, what, expected, fix)


def unusable(about: str, what: str, *, expected: str, fix: str) -> Finding:
    """The proxy cannot start, or clients get errors."""
    return Finding("unusable", about, what, expected, fix)
