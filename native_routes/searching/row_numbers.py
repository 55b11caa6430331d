"""Row numbers in memory: ascending, each once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
"""As functions here return it: ascending, each once."""
Values = NDArray[np.float64]
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


def changed(rows: Rows, values: Values, now: Mapping[int, float]) -> tuple[Rows, Values]:
    """Rows and the value of each, after some have got others. A value of 0 means that the row is gone."""
    if not now:
        return rows, values
    if len(rows) and min(now) > rows[-1]:  # mostly: new rows
        added = sorted((row, value) for row, value in now.items() if value)
        return (
            np.concatenate([rows, np.array([row for row, _ in added], dtype=np.int64)]),
            np.concatenate([values, np.array([value for _, value in added], dtype=np.float64)]),
        )
    order = np.fromiter(now, np.int64, len(now)).argsort()
    touched = np.fromiter(now, np.int64, len(now))[order]
    given = np.fromiter(now.values(), np.float64, len(now))[order]
    if len(rows):
        at = rows.searchsorted(touched)
        is_there = rows.take(at, mode="clip") == touched
        differs = given != np.where(is_there, values.take(at, mode="clip"), 0.0)
        if not differs.any():
            return rows, values
        touched, given, at, is_there = touched[differs], given[differs], at[differs], is_there[differs]
        if is_there.all() and given.all():
            values = values.copy()
            values[at] = given
            return rows, values
        if is_there.any():
            rows, values = np.delete(rows, at[is_there]), np.delete(values, at[is_there])
    touched, given = touched[given != 0], given[given != 0]
    if not len(rows) or not len(touched) or touched[0] > rows[-1]:
        return np.concatenate([rows, touched]), np.concatenate([values, given])
    at = rows.searchsorted(touched)
    return np.insert(rows, at, touched), np.insert(values, at, given)
