"""How vectors are kept in memory. Both forms are searched in the same way and give the same answers.

A code is a vector in steps: 8 bits a dimension, of a size of its own. Codes name the vectors that can be nearest, since
it is known for each how far from its vector it is. What those vectors are is in memory too, or is read when needed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

_BESIDE: Final = 20  # rowid, factor, and slack twice: see native_routes/searching/vector_matrix.py
_DIGEST: Final = 8


class VectorForm(StrEnum):
    FLOAT32 = "float32"  # codes, and whole vectors
    INT8 = "int8"  # codes alone: a fifth of the memory, and up to a millisecond more for a search

    def is_larger_than(self, other: VectorForm) -> bool:
        return self is VectorForm.FLOAT32 and other is VectorForm.INT8

    def bytes_each(self, dimensions: int) -> int:
        """Memory for one vector."""
        whole = 4 * dimensions if self is VectorForm.FLOAT32 else _DIGEST
        return dimensions + whole + _BESIDE
