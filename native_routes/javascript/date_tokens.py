"""Texts that may be dates, cut into numbers, words and signs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from native_routes.javascript.primitives import WHITE_SPACE

# Source: V8's date parser, whose reading Bun follows; RFC 822 zones.
ZONE_HOURS: Final = {
    "ut": 0, "utc": 0, "z": 0, "gmt": 0,
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MOST_DIGITS: Final = 9  # further ones are read and dropped
_SPACE: Final = WHITE_SPACE.replace("\u2028", "").replace("\u2029", "")  # here the two count as letters
_TOKEN: Final = re.compile(
    rf"(?P<number>[0-9]+)|(?P<word>[^\x00-@{_SPACE}]+)|(?P<space>[{_SPACE}])|(?P<open>\()|(?P<sign>.)",
    re.DOTALL,
)


class Kind(Enum):
    NUMBER = "number"
    WORD = "word"
    SPACE = "space"
    SIGN = "sign"  # one character that is none of the others
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str = ""  # a word in lower case
    number: int = 0

    def is_sign(self, *signs: str) -> bool:
        return self.kind is Kind.SIGN and self.text in signs

    def is_word(self, word: str) -> bool:
        return self.kind is Kind.WORD and self.text == word

    def is_digits(self, count: int) -> bool:
        return self.kind is Kind.NUMBER and len(self.text) == count

    @property
    def month(self) -> int | None:
        """1..12 when the word begins with the name of a month."""
        return MONTHS.index(self.text[:3]) + 1 if self.text[:3] in MONTHS else None

    @property
    def milliseconds(self) -> int:
        """The number as digits after a decimal point."""
        length = min(len(self.text), _MOST_DIGITS)
        return self.number * (0, 100, 10, 1)[length] if length <= 3 else int(self.number // 10 ** (length - 3))


END: Final = Token(Kind.END)


def tokens(text: str) -> list[Token]:
    """The pieces of `text` in order and two END after them; what stands in parentheses is one unknown sign."""
    pieces: list[Token] = []
    place = 0
    while found := _TOKEN.match(text, place):
        place = found.end()
        kind, piece = found.lastgroup, found[0]
        if kind == "number":
            pieces.append(Token(Kind.NUMBER, piece, int(piece.lstrip("0")[:_MOST_DIGITS] or 0)))
        elif kind == "word":
            pieces.append(Token(Kind.WORD, piece.lower()))
        elif kind == "open":
            place = _after_parentheses(text, place)
            pieces.append(Token(Kind.SIGN, "()"))
        else:
            pieces.append(Token(Kind.SPACE if kind == "space" else Kind.SIGN, piece))
    return [*pieces, END, END]


def _after_parentheses(text: str, place: int) -> int:
    """Where the parenthesis that was opened before `place` is closed; the end when it never is."""
    depth = 1
    while depth and place < len(text):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        place += 1
    return place
