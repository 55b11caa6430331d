"""Scores of hybrid search: words and meaning merged, then raised by use, links and likeness. Arithmetic only, no SQL.

Every list is sorted stably and best first, because clients see the order of equal scores.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from native_routes.javascript.primitives import WHITE_SPACE, trim
from native_routes.javascript.sorting import sorted_as_bun

SIMILARITY_WEIGHT: Final = 0.3  # of the reranker; the rest is the score so far
_OPERATORS: Final = frozenset({"OR", "AND", "NOT"})
_BLANKS: Final = re.compile(f"[{WHITE_SPACE}]+")
_SYNTAX: Final = str.maketrans("", "", '":()^*')
_TOKEN: Final = re.compile("[a-z0-9]+")


@dataclass(slots=True, eq=False)
class Candidate:
    """A memory that may be shown. `source`: keyword, vector, hybrid or ka_traversal."""

    id: str
    score: float
    source: str

    def raise_by(self, weight: float) -> None:
        """Pull the score towards 1."""
        self.score = (1 - weight) * self.score + weight


def sort_by_score(candidates: list[Candidate]) -> None:
    """Best first; equal scores keep their order. A score that is no number counts as equal to every other."""
    if any(map(math.isnan, [candidate.score for candidate in candidates])):
        candidates[:] = sorted_as_bun(candidates, _is_better)
    else:
        candidates.sort(key=_score, reverse=True)


def _score(candidate: Candidate) -> float:
    return candidate.score


def _is_better(left: Candidate, right: Candidate) -> bool:
    return left.score > right.score


def match_expression(text: str) -> str:
    """Words as FTS5 phrases, all of which must occur; the bare words OR, AND and NOT stay operators. Can be empty."""
    return " ".join(term for term in map(_term, _BLANKS.split(text)) if term)


def _term(word: str) -> str:
    if word in _OPERATORS:
        return word
    bare = trim(word.translate(_SYNTAX))
    return f'"{bare}"' if bare else ""


def entity_tokens(query: str) -> list[str]:
    """Lower-case words of ASCII letters and digits, two characters or longer, repeats included."""
    return [token for token in _TOKEN.findall(query.lower()) if len(token) >= 2]


def normalise_bm25(found: Sequence[tuple[str, float | None]]) -> dict[str, float]:
    """(memory id, BM25) to a score of 0 to 1, relative to the best of the batch; the order is kept."""
    sizes = [(memory, abs(bm25 or 0.0)) for memory, bm25 in found]  # null where the index counts fewer rows than it has
    best = max((size for _, size in sizes), default=0.0) or 1.0
    return {memory: size / best for memory, size in sizes}


def merge(
    keywords: Mapping[str, float], vectors: Mapping[str, float], *, alpha: float, min_score: float
) -> list[Candidate]:
    """Both lists as one: keyword hits in their order, then hits by vector alone, none below `min_score`."""
    candidates = []
    for memory in {**keywords, **vectors}:
        candidate = _merged(memory, keywords.get(memory, 0.0), vectors.get(memory, 0.0), alpha)
        if candidate.score >= min_score:
            candidates.append(candidate)
    sort_by_score(candidates)
    return candidates


def _merged(memory: str, keyword: float, vector: float, alpha: float) -> Candidate:
    if keyword > 0 and vector > 0:
        return Candidate(memory, alpha * vector + (1 - alpha) * keyword, "hybrid")
    if vector > 0:
        return Candidate(memory, vector, "vector")
    return Candidate(memory, keyword, "keyword")


def rehearsal_factor(access_count: float, days_since: float, *, weight: float, half_life_days: float) -> float:
    """What a score is multiplied with for being recalled often and lately; 1 and above for a weight of 0 and above."""
    # pow() as IEEE 754 has it: a date in the far future gives infinity, where Python's ** would raise.
    try:
        decay = math.pow(0.5, days_since / half_life_days)
    except OverflowError:
        decay = math.inf
    return 1 + weight * math.log(access_count + 1) * decay


def rerank(candidates: list[Candidate], top_n: int, similarity: Callable[[Candidate], float | None] | None) -> None:
    """Order the best `top_n` again by likeness, then give them their place as score: place i of n gets 1 - i/n.

    `similarity` answers None for a memory without a vector; None in its place keeps the order. Candidates behind the
    cut keep their old score, which can now be the higher one: legacy's way, and clients see it.
    """
    ordered = candidates[:top_n]
    if similarity is not None:
        blended = [
            Candidate(str(place), _blended(candidate, similarity), "") for place, candidate in enumerate(ordered)
        ]
        sort_by_score(blended)
        ordered = [ordered[int(entry.id)] for entry in blended]
    for place, candidate in enumerate(ordered):
        candidate.score = 1 - place / len(ordered)
    sort_by_score(candidates)


def _blended(candidate: Candidate, similarity: Callable[[Candidate], float | None]) -> float:
    likeness = similarity(candidate)
    if likeness is None:
        return candidate.score
    return (1 - SIMILARITY_WEIGHT) * candidate.score + SIMILARITY_WEIGHT * likeness


def round_to_2(value: float) -> float:
    """`Math.round(value * 100) / 100`: half towards plus infinity; what is no finite number stays as it is."""
    scaled = value * 100
    if not math.isfinite(scaled):
        return scaled
    whole = math.floor(scaled)
    return (whole + (scaled - whole >= 0.5)) / 100


def cut(candidates: Sequence[Candidate], limit: Any) -> Sequence[Candidate]:
    """`candidates.slice(0, limit)`: fractions are dropped, a negative limit drops entries from the end."""
    return candidates[: slice_end(limit, len(candidates))]


def slice_end(limit: float, length: int) -> int:
    """Where `slice(0, limit)` of so many entries ends. `limit` is a number of JavaScript, NaN included."""
    if math.isnan(limit):
        return 0
    if math.isinf(limit):
        return length if limit > 0 else 0
    end = math.trunc(limit)
    return max(0, length + end) if end < 0 else min(length, end)


def unique(values: Iterable[str]) -> list[str]:
    """Without repeats, in the order of first occurrence."""
    return list(dict.fromkeys(values))
