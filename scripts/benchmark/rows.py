"""One measured figure per row, judged against its budget. A figure that is missing is never judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

SIDES = ("direct", "nginx", "proxy")
Rounds = Mapping[str, Sequence[float]]
"""Side -> its figure in each round. A side that was not measured is absent."""

LEAST_SHARE: Final = 0.9  # of a pace that was asked for; below it a row would not say what it claims


class MeasurementError(Exception):
    """A figure that was asked for could not be measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Budget:
    limit: float
    at_most: bool = True

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.limit:g}"

    def margin(self, measured: float) -> float:
        """How far inside the budget; negative when it is missed."""
        return self.limit - measured if self.at_most else measured - self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """`measured` is what the budget is about; `sides` are the figures behind it, in `side_unit`, one per round."""

    work: str
    unit: str
    measured: float | None
    budget: Budget | None = None
    sides: Rounds = field(default_factory=dict)
    side_unit: str = ""
    note: str = ""
    missing: str = ""  # why `measured` is None
    asked: bool = True  # False: missing for want of a program that need not be there
    void: str = ""  # why the figure says nothing, though there is one

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return f"missing: {self.missing}"
        if self.void:
            return f"not judged: {self.void}"
        if self.budget is None:
            return "no budget"
        margin = self.budget.margin(self.measured)
        return f"{'meets' if margin >= 0 else 'MISSES'} by {abs(margin):.3g}{_spaced(self.unit)}"

    @property
    def failed(self) -> bool:
        """Asked for, and not there or worth nothing."""
        return self.asked and (self.measured is None or bool(self.void))

    def cells(self, sides: Sequence[str]) -> tuple[str, ...]:
        """Work, the sides, the figure, its budget, the verdict."""
        shown = [_shown(median(self.sides[side]), self.side_unit) if self.sides.get(side) else "" for side in sides]
        figure = "" if self.measured is None else _shown(self.measured, self.unit)
        return self.work, *shown, figure, str(self.budget or ""), self.verdict

    def as_json(self) -> dict[str, Any]:
        return {
            "work": self.work,
            "unit": self.unit,
            "measured": self.measured,
            "budget": str(self.budget) if self.budget else None,
            "verdict": self.verdict,
            "sides": {side: list(figures) for side, figures in self.sides.items()},
            "side_unit": self.side_unit,
            "note": self.note,
        }


def added(work: str, rounds: Rounds, budget: Budget | None = None, note: str = "") -> Row:
    """What the proxy adds over direct in milliseconds: the median of each round's difference."""
    more = median(ours - theirs for ours, theirs in zip(rounds["proxy"], rounds["direct"], strict=True))
    return Row(work, "ms", float(more), budget, rounds, "ms", note)


def ratio(work: str, rounds: Rounds, side_unit: str, of: str, budget: Budget | None = None, note: str = "") -> Row:
    """The proxy's figure as a multiple of another side's: the median of each round's quotient."""
    if of not in rounds:
        return Row(work, "x", None, budget, rounds, side_unit, note, missing=f"{of} is not installed", asked=False)
    return Row(work, "x", quotient(rounds, "proxy", of), budget, rounds, side_unit, note)


def quotient(rounds: Rounds, ours: str, theirs: str) -> float:
    """The median of each round's quotient."""
    return float(median(our / their for our, their in zip(rounds[ours], rounds[theirs], strict=True)))


def table(rows: Sequence[Row], sides: Sequence[str] = SIDES) -> list[str]:
    """The rows as lines of text, each row's note below it."""
    head = ("", *sides, "measured", "budget", "")
    cells = [head, *(row.cells(sides) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines: list[str] = [_line(head, widths)]
    for row, line in zip(rows, cells[1:], strict=True):
        lines.append(_line(line, widths))
        if row.note:
            lines.append(f"    {row.note}")
    return lines


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *middle, last = cells
    padded = [cell.rjust(width) for cell, width in zip(middle, widths[1:-1], strict=True)]
    return "  ".join([first.ljust(widths[0]), *padded, last]).rstrip()


def _shown(figure: float, unit: str) -> str:
    digits = 0 if abs(figure) >= 1000 else 1 if abs(figure) >= 100 else 2 if abs(figure) >= 10 else 3
    return f"{figure:,.{digits}f}{_spaced(unit)}"


def _spaced(unit: str) -> str:
    return f" {unit}" if unit else ""
