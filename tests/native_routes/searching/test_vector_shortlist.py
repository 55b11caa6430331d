"""Codes stay as near to their vectors as they say, and a shortlist leaves out nothing that can be among the nearest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_routes.searching.vector_codes import Codes, Floats
from native_routes.searching.vector_shortlist import shortlist

DIMENSIONS = 64


def codes_of(vectors: Floats) -> Codes:
    codes = Codes(*vectors.shape)
    codes.make(np.arange(len(vectors)), vectors)
    return codes


def cosines(vectors: Floats, direction: Floats) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(direction.astype(np.float64))
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = exact @ direction.astype(np.float64) / lengths
    return found


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-12, 1e-3, 1.0, 1e12]), st.sampled_from([0, 1, 3]))
def test_a_cosine_by_codes_is_off_by_no_more_than_its_slack(seed: int, size: float, power: int) -> None:
    """Also for vectors of which a few numbers are far larger than the rest, and for queries that lie where it hurts."""
    random = np.random.default_rng(seed)
    vectors = (random.standard_normal((20, DIMENSIONS)) ** (2 * power + 1) * size).astype(np.float32)
    codes = codes_of(vectors)
    restored = codes.steps * (np.abs(vectors).max(axis=1, keepdims=True) / 127)
    for query in (*random.standard_normal((4, DIMENSIONS)), *(vectors - restored)[:4]):
        direction = (query / np.linalg.norm(query)).astype(np.float32)
        off = np.abs(codes.factors * (codes.steps.astype(np.float32) @ direction) - cosines(vectors, direction))
        assert (off <= codes.slacks).all()


def test_slack_is_small_where_numbers_are_spread_evenly() -> None:
    vectors = np.random.default_rng(1).standard_normal((500, 768)).astype(np.float32)

    assert codes_of(vectors).slacks.max() < 0.012


@pytest.mark.parametrize("odd", [0.0, np.nan, np.inf, 1e-20, 1e30])
def test_a_vector_without_a_direction_is_no_order(odd: float) -> None:
    vectors = np.ones((3, DIMENSIONS), dtype=np.float32)
    assert codes_of(vectors).orderly
    vectors[1] = odd
    assert not codes_of(vectors).orderly


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 60))
def test_a_shortlist_has_all_that_can_be_among_the_highest(seed: int, places: int, count: int) -> None:
    """Whole numbers, so that many are equal."""
    random = np.random.default_rng(seed)
    real, slacks, errors = (
        random.integers(low, high, places, endpoint=True).astype(np.float32)
        for low, high in ((-40, 40), (0, 6), (-6, 6))
    )
    about = real + np.clip(errors, -slacks, slacks)

    listed = set(shortlist(about, slacks, count).tolist())

    lowest = np.sort(real)[::-1][min(count, len(real)) - 1]
    assert set(np.flatnonzero(real >= lowest).tolist()) <= listed


def test_a_shortlist_has_no_more_than_it_must() -> None:
    values = np.arange(10_000, dtype=np.float32)

    assert len(shortlist(values, np.full(10_000, 0.4, dtype=np.float32), 20)) == 20
    assert len(shortlist(values, np.full(10_000, 0.5, dtype=np.float32), 20)) == 21
    assert len(shortlist(values, np.zeros(10_000, dtype=np.float32), 0)) == 0


def test_free_places_are_never_listed() -> None:
    values = np.full(200, -np.inf, dtype=np.float32)
    values[[3, 150]] = 0.5

    assert shortlist(values, np.zeros(200, dtype=np.float32), 20).tolist() == [3, 150]
