"""The arithmetic of hybrid search, down to ties, NaN and the last digit."""

from __future__ import annotations

import math

import pytest

from native_routes.searching.hybrid_ranking import (
    Candidate,
    cut,
    entity_tokens,
    match_expression,
    merge,
    normalise_bm25,
    rehearsal_factor,
    rerank,
    round_to_2,
    sort_by_score,
)


def candidates(*scores: float) -> list[Candidate]:
    return [Candidate(str(place), score, "keyword") for place, score in enumerate(scores)]


def ids(found: list[Candidate]) -> list[str]:
    return [candidate.id for candidate in found]


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ("deploy server", '"deploy" "server"'),
        ("a OR b", '"a" OR "b"'),
        ("or and not", '"or" "and" "not"'),
        ('content:"x" (y) z* ^w', '"contentx" "y" "z" "w"'),
        ("  ::  ", ""),
        ("a\u0085b\u00a0c", '"a\u0085b" "c"'),
        ("it's a-b", '"it\'s" "a-b"'),
    ],
)
def test_words_become_phrases_and_operators_stay(words: str, expression: str) -> None:
    assert match_expression(words) == expression


def test_entity_tokens_are_ascii_words_of_two_letters_or_more() -> None:
    assert entity_tokens("Deploy a DB2, naïve İx x") == ["deploy", "db2", "na", "ve"]


def test_bm25_is_relative_to_the_best_of_the_batch_and_keeps_its_order() -> None:
    assert normalise_bm25([("a", -4.0), ("b", -1.0)]) == {"a": 1.0, "b": 0.25}
    assert normalise_bm25([("a", 0.0)]) == {"a": 0.0}
    assert normalise_bm25([]) == {}
    # FTS5 answers null where its index counts fewer rows than it has; Math.abs(null) is 0.
    assert normalise_bm25([("a", None), ("b", -2.0)]) == {"a": 0.0, "b": 1.0}


def test_merging_weighs_what_both_found_and_drops_what_is_below_the_least() -> None:
    merged = merge({"a": 1.0, "b": 0.05}, {"a": 0.5, "c": 0.9}, alpha=0.7, min_score=0.1)

    assert [(candidate.id, candidate.source) for candidate in merged] == [("c", "vector"), ("a", "hybrid")]
    assert merged[1].score == 0.7 * 0.5 + (1 - 0.7) * 1.0


def test_equal_scores_keep_keyword_hits_before_vector_hits() -> None:
    merged = merge({"k2": 0.5, "k1": 0.5}, {"v2": 0.5, "v1": 0.5}, alpha=0.7, min_score=0)

    assert ids(merged) == ["k2", "k1", "v2", "v1"]


def test_a_nan_minimum_drops_everything() -> None:
    assert merge({"a": 1.0}, {}, alpha=0.7, min_score=math.nan) == []


def test_rehearsal_counts_use_and_fades_with_its_age() -> None:
    assert rehearsal_factor(1, 0, weight=0.1, half_life_days=30) == 1 + 0.1 * math.log(2)
    assert rehearsal_factor(1, 30, weight=0.1, half_life_days=30) == 1 + 0.1 * math.log(2) * 0.5
    assert rehearsal_factor(1, -1e9, weight=0.1, half_life_days=1) == math.inf


def test_reranking_without_vectors_gives_places_as_scores() -> None:
    found = candidates(0.9, 0.8, 0.7, 0.6)
    rerank(found, 4, None)

    assert [candidate.score for candidate in found] == [1, 0.75, 0.5, 0.25]


def test_reranking_blends_likeness_for_those_that_have_a_vector() -> None:
    found = candidates(0.9, 0.8, 0.1)
    likeness = {"0": 0.0, "1": 1.0}
    rerank(found, 3, lambda candidate: likeness.get(candidate.id))

    assert ids(found) == ["1", "0", "2"]


def test_a_candidate_behind_the_cut_keeps_its_score_and_can_come_first() -> None:
    found = candidates(5.0, 4.0, 3.0)
    rerank(found, 2, None)

    assert [(candidate.id, candidate.score) for candidate in found] == [("2", 3.0), ("0", 1), ("1", 0.5)]


@pytest.mark.parametrize(
    ("limit", "count"),
    [(2, 2), (1.9, 1), (0, 0), (-1, 4), (-9, 0), (99, 5), (math.nan, 0), (math.inf, 5), (-math.inf, 0)],
)
def test_the_cut_is_javascripts_slice(limit: float, count: int) -> None:
    assert len(cut(candidates(1, 2, 3, 4, 5), limit)) == count


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.125, 0.13), (1.005, 1.0), (-0.125, -0.12), (0.285, 0.28), (0.3, 0.3), (math.inf, math.inf)],
)
def test_rounding_is_half_up(value: float, rounded: float) -> None:
    assert round_to_2(value) == rounded


def test_scores_that_are_no_number_are_where_buns_sort_leaves_them() -> None:
    nan = math.nan
    found = candidates(3, nan, 5, 1, nan, 9, 2, 7)
    sort_by_score(found)

    # Bun 1.4.2: [3, NaN, 5, 1, NaN, 9, 2, 7].map((score, place) => ({score, place})).sort((a, b) => b.score - a.score)
    assert "".join(ids(found)) == "01723456"
