"""`localeCompare`: the order of texts by the root collation of Unicode's CLDR, as ICU in Bun compares them.

Letters before accents before case. Exact for Latin, Greek, Cyrillic, Hebrew, Arabic, kana, Hangul, the usual Han,
punctuation and symbols. Other scripts follow each other by code point, and a vowel that Thai writes before its
consonant sorts where it stands.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

ORDER_PATH: Final = Path(__file__).with_name("collation_order.txt")
_KNOWN: Final = 0  # first parts of a primary weight: from the file, by code point, Han
_OTHER: Final = 1
_HAN: Final = 2
_HAN_BLOCKS: Final = (range(0x4E00, 0xA000), range(0xF900, 0xFB00), range(0x3400, 0x4DC0), range(0x20000, 0x32000))
_ACCENT: Final = 1
_FORMS: Final = {"<wide>": 1, "<compat>": 2, "<font>": 3, "<circle>": 4}  # these come after the letter,
_OTHER_FORM: Final = 5
_CAPITAL: Final = 8  # and before its capital

_WRITTEN_AS: Final = {"æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ß": "ss", "ẞ": "SS"}

Primary = tuple[int, int]
Weight = tuple[Primary | None, int, int]  # None = a mark; then accent, then case and form
Key = tuple[tuple[Primary, ...], tuple[int, ...], tuple[int, ...]]


@lru_cache(maxsize=4096)
def collation_key(text: str) -> Key:
    """Sorts as `a.localeCompare(b)`; equal keys where that gives 0."""
    weights = [weight for letter in text for weight in _weights(letter)]
    return (
        tuple(primary for primary, _, _ in weights if primary is not None),
        tuple(accent for _, accent, _ in weights),
        tuple(form for _, _, form in weights),
    )


def _weights(letter: str) -> list[Weight]:
    if (parts := _WRITTEN_AS.get(letter)) is not None:
        return [(primary, accent, form + _OTHER_FORM) for part in parts for primary, accent, form in _weights(part)]
    order = _order()
    if (known := order.get(letter)) is not None:
        return known
    whole = unicodedata.normalize("NFD", letter)
    if whole != letter:
        return [weight for part in whole for weight in _weights(part)]
    simple = unicodedata.normalize("NFKD", letter)
    if simple != letter:
        kind = _FORMS.get(unicodedata.decomposition(letter).split(" ", 1)[0], _OTHER_FORM)
        return [(primary, accent, form + kind) for part in simple for primary, accent, form in _weights(part)]
    code = ord(letter)
    if any(code in block for block in _HAN_BLOCKS):
        return [((_HAN, code), 0, 0)]
    if unicodedata.category(letter) in ("Cc", "Cf"):
        return []
    if unicodedata.category(letter) == "Mn":
        return [(None, _ACCENT + len(order) + code, 0)]
    return [((_OTHER, code), 0, 0)]


@cache
def _order() -> dict[str, list[Weight]]:
    """The weights of the file's characters."""
    lines = [line for line in ORDER_PATH.read_text("ascii").splitlines() if not line.startswith("#")]
    order: dict[str, list[Weight]] = {}
    for accent, marks in enumerate(lines[0].split()[1:], start=_ACCENT):
        order |= {chr(int(mark, 16)): [(None, accent, 0)] for mark in marks.split("=")}
    place = 0
    for line in lines[1:]:
        first, *variants = line.split()
        low, _, high = first.partition("-")
        for code in range(int(low, 16), int(high or low, 16) + 1):
            place += 1
            order[chr(code)] = [((_KNOWN, place), 0, 0)]
        accent = form = 0
        for variant in variants:
            letter = chr(int(variant[1:], 16))
            accent, form = {";": (accent + 1, 0), ",": (accent, form + 1), "=": (accent, form)}[variant[0]]
            if unicodedata.category(letter) == "Lu":
                form = max(form, _CAPITAL)
            order[letter] = [((_KNOWN, place), accent, form)]
    return order
