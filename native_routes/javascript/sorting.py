"""`Array.prototype.sort` as Bun 1.4 does it: for comparisons that contradict each other, as those with NaN do.

Where "comes before" is an order, every stable sort gives the same list, and `list.sort` is the one to use. Elsewhere
the result depends on which pairs are compared, so here the same pairs are, one after the other: the powersort of Munro
and Wild (2018) over runs of at least 9, with TimSort's galloping merges. Older engines sort such lists otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")
Precedes = Callable[[T, T], bool]  # whether the comparator's number for (a, b) is below 0; NaN is not

_SHORT: Final = 8  # fewer are sorted by insertion, and runs that are no longer are filled up
_FILLED: Final = 64
_WINS: Final = 7  # of one side in a row, before its next elements are searched instead of compared in turn


def sorted_as_bun(items: Sequence[T], precedes: Precedes[T]) -> list[T]:
    """A new list, first what precedes."""
    sorting = _Sorting(list(items), precedes)
    sorting.sort()
    return sorting.items


class _Sorting(Generic[T]):
    """Positions are half-open ranges of `items`, which is sorted in place."""

    def __init__(self, items: list[T], precedes: Precedes[T]) -> None:
        self.items = items
        self._precedes = precedes
        self._wins = _WINS  # more after a search that did not pay, fewer after one that did

    def sort(self) -> None:
        length = len(self.items)
        if length < _SHORT:
            self._insert(0, min(1, length), length)
            return
        waiting: list[tuple[int, int]] = []  # starts of runs on the left, each with the power of the border behind it
        start, end = 0, self._run(0)
        while end < length:
            next_end = self._run(end)
            power = _power(start, end, next_end, length)
            while waiting and waiting[-1][1] > power:
                left = waiting.pop()[0]
                self._merge(left, start, end)
                start = left
            waiting.append((start, power))
            start, end = end, next_end
        while waiting:
            left = waiting.pop()[0]
            self._merge(left, start, length)
            start = left

    def _run(self, start: int) -> int:
        """Make a sorted run from `start` on; its end."""
        items, precedes = self.items, self._precedes
        end = min(start + 2, len(items))
        if end == start + 2 and precedes(items[start + 1], items[start]):
            while end < len(items) and precedes(items[end], items[end - 1]):
                end += 1
            items[start:end] = reversed(items[start:end])
        else:
            end = self._rising(end)
        if end - start <= _SHORT:
            filled = min(start + _FILLED, len(items))
            self._insert(start, end, filled)
            end = filled
        return self._rising(end)

    def _rising(self, end: int) -> int:
        """How far the run that ends before `end` goes on by itself."""
        items = self.items
        while end < len(items) and not self._precedes(items[end], items[end - 1]):
            end += 1
        return end

    def _insert(self, start: int, end: int, new_end: int) -> None:
        """Insert what follows the run into it."""
        items, precedes = self.items, self._precedes
        for place in range(end, new_end):
            item = items[place]
            found = _first(start, place, lambda middle, item=item: precedes(item, items[middle]))  # type: ignore[misc]
            items.insert(found, items.pop(place))

    def _merge(self, start: int, middle: int, end: int) -> None:
        """Merge the runs `start:middle` and `middle:end`, less what is in its place at either end."""
        items = self.items
        start = self._after(items[middle], start, middle)
        if start == middle:
            return
        end = self._before_from_end(items[middle - 1], middle, end)
        if end > middle:
            items[start:end] = self._merged(start, middle, end)

    def _merged(self, left: int, middle: int, end: int) -> list[T]:
        items, merged, right = self.items, list[T](), middle
        while True:
            left, right = self._in_turn(merged, left, middle, right, end)
            if left == middle or right == end:
                break
            self._wins += 1
            left, right, is_over = self._in_stretches(merged, left, middle, right, end)
            if is_over:
                break
            self._wins += 1
        return merged + items[left:middle] + items[right:end]

    def _in_turn(self, merged: list[T], left: int, middle: int, right: int, end: int) -> tuple[int, int]:
        """One element after the other, until a side has won often enough or is empty."""
        items, left_wins, right_wins = self.items, 0, 0
        while left < middle and right < end and left_wins < self._wins and right_wins < self._wins:
            if self._precedes(items[right], items[left]):
                merged.append(items[right])
                right, right_wins, left_wins = right + 1, right_wins + 1, 0
            else:
                merged.append(items[left])
                left, left_wins, right_wins = left + 1, left_wins + 1, 0
        return left, right

    def _in_stretches(self, merged: list[T], left: int, middle: int, right: int, end: int) -> tuple[int, int, bool]:
        """As many as precede the other side's next one, as long as that is many; and whether a side is empty."""
        items, is_long = self.items, True
        while is_long:
            self._wins = max(1, self._wins - 1)
            stop = self._after(items[right], left, middle)
            merged += [*items[left:stop], items[right]]
            is_long, left, right = stop - left >= _WINS, stop, right + 1
            if left == middle or right == end:
                return left, right, True
            stop = self._before(items[left], right, end)
            merged += [*items[right:stop], items[left]]
            is_long, left, right = is_long or stop - right >= _WINS, left + 1, stop
            if left == middle or right == end:
                return left, right, True
        return left, right, False

    def _after(self, item: T, start: int, end: int) -> int:
        """Where `item` belongs in a run, behind its equals; searched from the front."""
        items = self.items
        last, offset = _reach(end - start, lambda offset: not self._precedes(item, items[start + offset]))
        return _first(start + last + 1, start + offset, lambda place: self._precedes(item, items[place]))

    def _before(self, item: T, start: int, end: int) -> int:
        """Where `item` belongs in a run, before its equals; searched from the front."""
        items = self.items
        last, offset = _reach(end - start, lambda offset: self._precedes(items[start + offset], item))
        return _first(start + last + 1, start + offset, lambda place: not self._precedes(items[place], item))

    def _before_from_end(self, item: T, start: int, end: int) -> int:
        items = self.items
        last, offset = _reach(end - start, lambda offset: not self._precedes(items[end - 1 - offset], item))
        return _first(end - offset, end - 1 - last, lambda place: not self._precedes(items[place], item))


def _power(start: int, middle: int, end: int, length: int) -> int:
    """The depth of the border between two neighbouring runs in a nearly balanced tree over all `length` elements."""
    left, right = start + middle, middle + end  # twice the middles of the runs
    power = 0
    while left * 2**power // (2 * length) == right * 2**power // (2 * length):
        power += 1
    return power


def _reach(length: int, passes: Callable[[int], bool]) -> tuple[int, int]:
    """(last offset that passes, one that does not or the length), asked at 0, 1, 3, 7, ...; (-1, 0) when 0 does not."""
    if not passes(0):
        return -1, 0
    last, offset = 0, 1
    while offset < length and passes(offset):
        last, offset = offset, min(2 * offset + 1, length)
    return last, offset


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The lowest of `low` to `high` for which it holds, asked in halves; `high` unasked."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
