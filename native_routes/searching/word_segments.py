"""What has changed in a full-text index since one of its states, read from FTS5's own newest segments.

An index is a list of segments by age. A change adds a segment at level 0, and never alters one: what newer ones say of
a word in a row overrules older ones. From time to time all segments of a level become one of the next level.
Source: SQLite, fts5_index.c, "FTS5 data structure" and fts5StructurePromote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from native_routes.database import Connection, Query

Entries = dict[str, dict[int, int]]
"""Word -> row -> how often the row has it now; 0: no longer. Rows that are not named have the word as before."""

MOST_LEAVES: Final = 64  # written between two states
FULL: Final = 16  # segments of a level, which are merged then
MERGED_EVERY: Final = 64  # leaves after which levels of four segments are merged, too
FEW_PAGES: Final = 8  # are read rather than told from what was there
MOST_PAGES: Final = 256  # to be read for one change of state, some 20 ms
SETTINGS: Final = "version=4"  # all that the index's configuration may say: others merge, or delete, in other ways

_SEGMENT_SHIFT: Final = 37  # of a segment's number in the number of its record, which a page number completes
_NOT_LAST: Final = bytes(range(0x80, 0x100))
_BEGIN: Final = 4  # of what a page holds, behind its two offsets
_MANY_COLUMNS: Final = b"\xff\x00\x00\x01"  # a structure of an index that keeps its rows elsewhere


@dataclass(frozen=True, slots=True)
class Segment:
    number: int  # free for another one after the segment has been merged
    first: int  # page
    last: int

    @property
    def pages(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Level:
    merging: int  # segments, the oldest ones, of which a part is in the next level already
    segments: tuple[Segment, ...]  # oldest first


@dataclass(frozen=True, slots=True)
class Structure:
    leaves: int  # written by changes, ever
    levels: tuple[Level, ...]  # newest first


@dataclass(frozen=True, slots=True)
class _Page:
    block: bytes


PAGES: Final = Query("SELECT block FROM memories_fts_data WHERE id BETWEEN :first AND :last ORDER BY id", row=_Page)


def read_structure(block: bytes) -> Structure | None:
    """None when it is damaged, or of an index of another kind."""
    if block[4:8] == _MANY_COLUMNS:
        return None
    try:
        numbers = _varints(block, 4)
        levels, _, leaves = next(numbers), next(numbers), next(numbers)
        return Structure(leaves, tuple(_level(numbers) for _ in range(levels)))
    except (IndexError, ValueError, TypeError, StopIteration, RuntimeError):
        return None


def segments_since(before: Structure, now: Structure) -> Sequence[Segment] | None:
    """Segments that hold all that was changed since `before`, oldest first; other things may be among it.

    None where this cannot be told, or not with few pages.
    """
    written = now.leaves - before.leaves
    if not 0 <= written <= MOST_LEAVES or not now.levels or not before.levels:
        return None
    if not written:
        return ()  # merged at most, which changes nothing
    newest, known = now.levels[0], len(before.levels[0].segments)
    added = newest.segments[known:]
    if newest.segments[:known] == before.levels[0].segments and newest.merging <= known and _pages(added) == written:
        return added
    return _merged_since(before, now)


def _merged_since(before: Structure, now: Structure) -> Sequence[Segment] | None:
    """Level 0 was merged. What was in it is in the newest segments of the others, one for each time at most.

    It happens when level 0 is full, which it may nearly have been before, and at every multiple of MERGED_EVERY. (What
    comes back to level 0 is the newest of the others, so it does not fill it a second time without being merged again.)
    A program that asks for it adds segments that were not there.

    One that was there ends the search earlier, unless so few pages may be others: a segment comes back to a level only
    by a change that writes more. Such an older one must be left, or else a merge may have dropped what says that a row
    no longer has a word.
    """
    written = now.leaves - before.leaves
    too_many = max(FEW_PAGES, 2 * written)
    outputs = 1 + (written - 1) // FULL + now.leaves // MERGED_EVERY - before.leaves // MERGED_EVERY
    known = {(number, segment) for number, level in enumerate(before.levels) for segment in level.segments}
    taken: list[Segment] = []
    for number, level in enumerate(now.levels):
        for index, segment in reversed(tuple(enumerate(level.segments))):
            if number > 0 and (number, segment) in known and (outputs <= 0 or segment.pages > too_many):
                return taken[::-1] if _pages(taken) <= MOST_PAGES else None
            if index < level.merging:
                return None
            taken.append(segment)
            outputs -= number > 0
    return None


def varint(block: bytes, at: int) -> tuple[int, int]:
    """SQLite's integer of variable length, high bits first, and where it ends. Raises ValueError for nine bytes."""
    value = block[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    for _ in range(7):
        byte = block[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 56 bits")


def read_entries(connection: Connection, segments: Sequence[Segment]) -> Entries | None:
    """What the segments say, later ones overruling earlier ones; None when one is damaged. Raises DatabaseError."""
    found: Entries = {}
    for segment in segments:
        base = segment.number << _SEGMENT_SHIFT
        pages = PAGES.all(connection, first=base + segment.first, last=base + segment.last)
        if len(pages) != segment.pages:
            return None
        reading = _Reading(found)
        try:
            for page in pages:
                reading.page(page.block)
        except (IndexError, ValueError, TypeError):  # what is no blob is no page
            return None
    return found


class _Reading:
    """Of one segment, page by page.

    A page has words with their rows, and of each row a list of positions. The rows of its predecessor's last word, and
    the list of the last one, may go on at its beginning. Most numbers are of one byte, which is read without a call.
    """

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._word = b""
        self._rows: dict[int, int] = {}  # of the word
        self._row = self._count = 0  # of a list
        self._left = 0  # bytes of it that are on the next page

    def page(self, block: bytes) -> None:
        """Raises IndexError or ValueError where it is damaged."""
        end = int.from_bytes(block[2:4], "big")
        index = block[end:]
        starts = list(accumulate(index if index.isascii() else _varints(index, 0)))
        head_end = starts[0] if starts else end
        if not _BEGIN <= head_end <= end <= len(block) or (head_end > _BEGIN and not self._word):
            raise ValueError("no page of an index")
        self._read_rows(block, self._end_list(block, _BEGIN, head_end), head_end)
        for is_later, (start, stop) in enumerate(pairwise([*starts, end])):
            self._read_rows(block, self._read_word(block, start, shares=is_later > 0), stop)

    def _end_list(self, block: bytes, at: int, stop: int) -> int:
        if not self._left:
            return at
        here = min(self._left, stop - at)
        self._count += _positions(block[at : at + here])
        self._left -= here
        if not self._left:
            self._rows[self._row] = self._count
        return at + here

    def _read_word(self, block: bytes, at: int, *, shares: bool) -> int:
        """The page's first word is written out; later ones share a beginning with the one before."""
        shared = 0
        if shares:
            shared = block[at]
            at += 1
            if shared >= 0x80:
                shared, at = varint(block, at - 1)
        length = block[at]
        at += 1
        if length >= 0x80:
            length, at = varint(block, at - 1)
        end = at + length
        word = self._word = self._word[:shared] + block[at:end]
        text = word[1:].decode()  # the first byte: of the index itself
        rows = self._entries.get(text)
        if rows is None:
            rows = self._entries[text] = {}
        self._rows = rows
        return end

    def _read_rows(self, block: bytes, at: int, stop: int) -> None:
        """The first number is the row, the others differences."""
        row, rows = 0, self._rows
        while at < stop:
            difference = block[at]
            at += 1
            if difference >= 0x80:
                difference, at = varint(block, at - 1)
            row += difference
            size = block[at]
            at += 1
            if size >= 0x80:
                size, at = varint(block, at - 1)
            size >>= 1  # the last bit: whether older segments have the row, too
            end = at + size
            if end > stop:
                self._row, self._count, self._left = row, _positions(block[at:stop]), end - stop
                return
            rows[row] = size if size < 2 else _positions(block[at:end])
            at = end


def _level(numbers: Iterator[int]) -> Level:
    merging, segments = next(numbers), next(numbers)
    return Level(merging, tuple(Segment(next(numbers), next(numbers), next(numbers)) for _ in range(segments)))


def _pages(segments: Sequence[Segment]) -> int:
    return sum(segment.pages for segment in segments)


def _positions(part: bytes) -> int:
    """How many integers: each ends with a byte below 128."""
    return len(part.translate(None, _NOT_LAST))


def _varints(block: bytes, at: int) -> Iterator[int]:
    while at < len(block):
        value, at = varint(block, at)
        yield value
