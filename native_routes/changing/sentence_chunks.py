"""A long text in pieces of whole sentences. Lengths are counted in UTF-16 units, as JavaScript counts them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from native_routes.javascript.primitives import WHITE_SPACE, trim

_BETWEEN_SENTENCES: Final = re.compile(rf"(?<=[.!?])[{WHITE_SPACE}]+")


def sentence_chunks(text: str, target: float) -> list[str]:
    """Pieces of at most `target` units where sentences allow; [] for nothing but white space.

    A sentence of up to twice that stays whole, a longer one is cut anywhere.
    """
    return [_characters(chunk) for chunk in map(trim, _pieces(_units(text), target)) if chunk]


def _pieces(text: str, target: float) -> Iterator[str]:
    gathered = ""
    for sentence in filter(None, _BETWEEN_SENTENCES.split(text)):
        if len(sentence) > target * 2:
            yield gathered
            gathered = ""
            yield from _cut(sentence, target)
            continue
        longer = f"{gathered} {sentence}" if gathered else sentence
        if len(longer) > target and gathered:
            yield gathered
            gathered = sentence
        else:
            gathered = longer
    yield gathered


def _cut(sentence: str, target: float) -> Iterator[str]:
    """Every `target` units, which may be no whole number.

    Differs: a cut inside a surrogate pair moves behind it. Legacy cuts there, and Bun 1.4.2 stores the rest garbled.
    """
    start, ends = 0, target
    while start < len(sentence):
        end = int(ends)
        if "\udc00" <= sentence[end : end + 1] <= "\udfff" and "\ud800" <= sentence[end - 1] <= "\udbff":
            end += 1
        yield sentence[start:end]
        start, ends = end, ends + target


def _units(text: str) -> str:
    """One character for each UTF-16 unit: those beyond U+FFFF become the two halves of their pair."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    return "".join(map(chr, memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")))


def _characters(units: str) -> str:
    if units.isascii():
        return units
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
