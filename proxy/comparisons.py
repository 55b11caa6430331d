"""What became of comparing native answers with legacy's, one by one and in numbers since the proxy started."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from native_routes.declaration import RouteGroup

LONGEST_TARGET: Final = 300
_PLAIN_VALUE = re.compile(r"-?[0-9.]{1,12}|true|false")
_SECRET_NAME = re.compile(r"secret|token|key|password|auth", re.IGNORECASE)


class Verdict(StrEnum):
    EQUAL = "equal"
    DIFFERS = "differs"
    SKIPPED = "skipped"  # it says nothing; the reason is kept


@dataclass(frozen=True, slots=True)
class Comparison:
    """One request that was answered by both sides, or should have been.

    `reason` says why it was skipped, or whether a difference was confirmed. `path`, `legacy` and `native` are the first
    difference. `target` is what was asked for, as `shown_target` writes it.
    """

    group: str
    route: str  # "GET /api/memory/:id"
    target: str
    verdict: Verdict
    reason: str = ""
    path: str = ""
    legacy: str = ""
    native: str = ""


@dataclass(slots=True)
class GroupTally:
    equal: int = 0
    differing: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # reason -> n

    @property
    def compared(self) -> int:
        return self.equal + self.differing

    @property
    def bound(self) -> float | None:
        """With 95 % confidence at most this share of all requests differs; None where one did, or none was compared.

        Source: the rule of three, 3/n.
        """
        return min(1.0, 3 / self.equal) if self.equal and not self.differing else None


class Tally:
    """Comparisons and native faults by group. They are about the code that runs, so they begin with the process."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupTally] = {}
        self.faults: Counter[tuple[str, str]] = Counter()  # (group, what happened to a native answer) -> n

    def count(self, comparison: Comparison) -> None:
        tally = self._of(comparison.group)
        if comparison.verdict is Verdict.EQUAL:
            tally.equal += 1
        elif comparison.verdict is Verdict.DIFFERS:
            tally.differing += 1
        else:
            tally.skipped[comparison.reason] += 1

    def skip(self, group: RouteGroup, reason: str) -> None:
        """Count one that is not worth a record: there may be thousands in a second."""
        self._of(group.name).skipped[reason] += 1

    def document(self) -> list[dict[str, Any]]:
        """One object for each group that something was compared or skipped of."""
        return [
            {
                "group": name,
                "compared": tally.compared,
                "equal": tally.equal,
                "differing": tally.differing,
                "skipped": dict(tally.skipped.most_common()),
                "bound": tally.bound,
            }
            for name, tally in self.groups.items()
        ]

    def samples(self) -> Iterator[tuple[dict[str, str], int]]:
        """Comparisons by group and verdict, as metrics take them."""
        for name, tally in self.groups.items():
            for verdict, n in (
                (Verdict.EQUAL, tally.equal),
                (Verdict.DIFFERS, tally.differing),
                (Verdict.SKIPPED, tally.skipped.total()),
            ):
                yield {"group": name, "verdict": verdict.value}, n

    def _of(self, group: str) -> GroupTally:
        return self.groups.setdefault(group, GroupTally())


def shown_target(target: bytes, *, in_full: bool) -> str:
    """A request target for people to read: values of a query only where they are numbers or truth values, unless
    `in_full`; those under names of secrets never."""
    path, mark, query = target.decode("latin-1").partition("?")
    parts = [_shown_parameter(part, in_full=in_full) for part in query.split("&")]
    return (path + mark + "&".join(parts))[:LONGEST_TARGET]


def _shown_parameter(part: str, *, in_full: bool) -> str:
    name, mark, value = part.partition("=")
    if not mark:
        return part if in_full or _PLAIN_VALUE.fullmatch(part) or not part else "…"
    shown = (in_full or _PLAIN_VALUE.fullmatch(value)) and not _SECRET_NAME.search(name)
    return f"{name}={value if shown else '…'}"
