"""Vectors in steps of 1/127 of their largest number, and how far each is from what it stands for."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

SHORTEST: Final = 1e-15  # of a vector whose squares float32 can hold
LONGEST: Final = 1e15
_STEPS: Final = 127
_AT_ONCE: Final = 64  # rows, so that what is computed in between stays in the processor's cache
_UNIT: Final = 2.0**-24  # rounding of one float32 operation


class Codes:
    """`factors[i] * (steps[i] @ direction)` is at most `slacks[i]` from the cosine as sqlite-vec computes it.

    `steps` (places, dimensions), `factors` and `slacks` (places,). A place that was not made has only zeros.
    """

    __slots__ = ("factors", "orderly", "slacks", "steps")

    def __init__(self, places: int, dimensions: int) -> None:
        self.steps = np.zeros((places, dimensions), dtype=np.int8)
        self.factors: Floats = np.zeros(places, dtype=np.float32)
        self.slacks: Floats = np.zeros(places, dtype=np.float32)
        self.orderly = True  # every vector has a direction: none is zero, infinite, or no number

    @property
    def nbytes(self) -> int:
        return self.steps.nbytes + self.factors.nbytes + self.slacks.nbytes

    def make(self, places: Places, vectors: Floats) -> None:
        """Of these vectors, one for each of the places."""
        for start in range(0, len(places), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            with np.errstate(all="ignore"):  # of vectors without a direction, whose codes are not searched
                self._make(places[some], vectors[some])

    def forget(self, places: Places) -> None:
        """Of places that were made, or not."""
        self.factors[places] = self.slacks[places] = 0

    def _make(self, places: Places, vectors: Floats) -> None:
        lengths = _lengths(vectors)
        sizes = np.abs(vectors).max(axis=1) / np.float32(_STEPS)
        steps = np.rint(vectors / sizes[:, np.newaxis])
        # What the steps leave out has a length, and a cosine cannot lack more than that (Cauchy-Schwarz). Each of both
        # computations rounds once for every dimension, in the product and in two lengths.
        left_out = _lengths(vectors - steps * sizes[:, np.newaxis]) / lengths
        self.steps[places] = steps.astype(np.int8)
        self.factors[places] = sizes / lengths
        self.slacks[places] = left_out + np.float32(6 * vectors.shape[1] * _UNIT)
        self.orderly = self.orderly and bool(((lengths > SHORTEST) & (lengths < LONGEST)).all())


def _lengths(vectors: Floats) -> Floats:
    lengths: Floats = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return lengths
