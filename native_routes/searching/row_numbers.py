"""Row numbers in memory: ascending, each once."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
"""As functions here return it: ascending, each once."""
NO_ROWS: Final[Rows] = np.empty(0, dtype=np.int64)


def read_numbers(text: str | None) -> Rows:
    """The numbers of a list between commas, as they stand there; None is no number."""
    return np.fromstring(text, dtype=np.int64, sep=",") if text else NO_ROWS


def each_once(numbers: Rows) -> Rows:
    """The different ones, ascending. `np.unique` hashes them first, which takes three to nine times as long."""
    if (numbers[1:] > numbers[:-1]).all():
        return numbers
    ordered = np.sort(numbers)
    is_new = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    return ordered[is_new]


def is_among(rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """For each row whether the others have it."""
    if not len(others):
        return np.zeros(len(rows), dtype=bool)
    has: NDArray[np.bool_] = others.take(others.searchsorted(rows), mode="clip") == rows
    return has
