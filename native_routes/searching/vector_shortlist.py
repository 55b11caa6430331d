"""Which values can be among the highest, when each is only known to be within so much of what it stands for."""

from __future__ import annotations

from typing import Final

import numpy as np

from native_routes.searching.vector_codes import Floats, Places

_TOGETHER: Final = 64


def shortlist(similarities: Floats, slacks: Floats, count: int) -> Places:
    """Columns that can be among the `count` highest when each value is off by at most its slack; in no order."""
    if count <= 0:
        return np.empty(0, dtype=np.intp)
    if count >= len(similarities):
        return np.flatnonzero(similarities > -np.inf)
    lowest, highest = similarities - slacks, similarities + slacks
    able = np.flatnonzero((highest >= _reached(lowest, count)) & (similarities > -np.inf))
    if len(able) <= count:
        return able
    chosen: Places = able[highest[able] >= _lowest_of_best(lowest[able], count)]
    return chosen


def _reached(values: Floats, count: int) -> float:
    """What at least `count` values reach, and not many more: the highest of groups are sorted in the place of all."""
    groups = len(values) // _TOGETHER
    if 4 * count > groups:
        return _lowest_of_best(values, count)
    return _lowest_of_best(values[: groups * _TOGETHER].reshape(groups, _TOGETHER).max(axis=1), count)


def _lowest_of_best(values: Floats, count: int) -> float:
    return float(np.partition(values, len(values) - count)[len(values) - count])
