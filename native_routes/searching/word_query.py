"""The part of FTS5's query language that most searches use: phrases that must all occur, or of which any may.

Source: SQLite, FTS5, "Full-text Query Syntax". What is not read here is for FTS5 itself, errors included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# A string in double quotes, a word without, or the star behind either. Other characters mean something else.
_PIECE: Final = re.compile(r'[ \t\r\n]*(?:"((?:[^"\0]|"")*)"|([A-Za-z0-9_\x1a\x80-\U0010ffff]+)|(\*))')
_OPERATORS: Final = frozenset({"AND", "OR", "NOT"})
MOST_PHRASES: Final = 64
LONGEST_PHRASE: Final = 200  # characters; of words beyond 32 kB FTS5 knows the beginning only


@dataclass(frozen=True, slots=True)
class Phrase:
    text: str
    prefix: bool = False  # whether words that begin with it count


@dataclass(frozen=True, slots=True)
class WordQuery:
    phrases: tuple[Phrase, ...]  # in the order of the query, repeats included
    any: bool = False  # whether one of them is enough


def word_query(text: str) -> WordQuery | None:
    """None for everything else: nothing, mixed operators, NOT, NEAR, brackets, columns, joined phrases.

    What a phrase without any word means depends on whether AND was written; whoever meets one asks FTS5.
    """
    phrases: list[Phrase] = []
    operators: set[str] = set()
    expects_phrase = True  # at the start and behind an operator
    at, text = 0, text.rstrip(" \t\r\n")
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            return None
        at = piece.end()
        quoted, bare, star = piece.groups()
        if star:
            if expects_phrase or phrases[-1].prefix:
                return None
            phrases[-1] = Phrase(phrases[-1].text, prefix=True)
        elif bare in _OPERATORS:
            if expects_phrase:
                return None
            operators.add(bare)
            expects_phrase = True
        else:
            if not expects_phrase:
                operators.add("AND")
            phrases.append(Phrase(bare if quoted is None else quoted.replace('""', '"')))
            expects_phrase = False
    if expects_phrase or len(operators) > 1 or "NOT" in operators or len(phrases) > MOST_PHRASES:
        return None
    if any(len(phrase.text) > LONGEST_PHRASE for phrase in phrases):
        return None
    return WordQuery(tuple(phrases), any="OR" in operators)
