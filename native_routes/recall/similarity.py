"""Likeness of stored vectors to the query's, for the reranker: the numbers of legacy's loop, to the last bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from native_routes.database import Connection
from native_routes.recall.queries import STORED_VECTORS, texts
from native_routes.searching.embedders import Vector
from native_routes.searching.hybrid_ranking import Candidate

FLOAT_BYTES: Final = 4


def stored_similarity(
    connection: Connection, candidates: Iterable[Candidate], vector: Vector
) -> Callable[[Candidate], float | None]:
    """A function that gives each candidate's cosine, None where it has no vector.

    Bytes behind the last whole float32 do not count, and what is not stored as bytes holds no number.
    """
    rows = STORED_VECTORS.all(connection, ids=texts(candidate.id for candidate in candidates))
    cosines = cosines_with(vector, [_whole(row.vector) for row in rows])
    by_memory = {row.memory_id: cosine for row, cosine in zip(rows, cosines, strict=True)}
    return lambda candidate: by_memory.get(candidate.id)


def _whole(stored: object) -> bytes:
    return stored[: len(stored) // FLOAT_BYTES * FLOAT_BYTES] if isinstance(stored, bytes) else b""


def cosines_with(vector: Vector, blobs: list[bytes]) -> list[float]:
    """Cosines over the common length of both, 0 when either is zero; summed in order in float64, as JavaScript does."""
    found = {}
    by_length: dict[int, list[int]] = {}
    for position, blob in enumerate(blobs):
        by_length.setdefault(len(blob) // FLOAT_BYTES, []).append(position)
    for length, positions in by_length.items():
        for position, cosine in zip(positions, _cosines(vector, [blobs[at] for at in positions], length), strict=True):
            found[position] = cosine
    return [found[position] for position in range(len(blobs))]


def _cosines(vector: Vector, blobs: list[bytes], length: int) -> list[float]:
    """Of blobs of equal length."""
    stored = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), length)
    common = min(length, len(vector))
    if common == 0:
        return [0.0] * len(blobs)
    # One column for each blob, and ours last: numpy adds whole rows, one after the other, so that each column is summed
    # in the order of its numbers. Along a row it would sum in pairs.
    theirs = np.empty((common, len(blobs) + 1))
    theirs[:, :-1] = stored[:, :common].T
    theirs[:, -1] = vector[:common]
    with np.errstate(over="ignore", invalid="ignore"):
        dots = (theirs * theirs[:, -1:]).sum(axis=0).tolist()
        squares = np.square(theirs).sum(axis=0).tolist()
    return [_cosine(dot, squares[-1], square) for dot, square in zip(dots[:-1], squares[:-1], strict=True)]


def _cosine(dot: float, own_squares: float, squares: float) -> float:
    norm = math.sqrt(own_squares) * math.sqrt(squares)
    return dot / norm if norm > 0 else 0.0
