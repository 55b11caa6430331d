"""Deterministic vectors from text: texts that share words are near each other. Shape (768,), unit length."""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

DIMENSIONS: Final = 768
_WORD = re.compile(r"\w+")


def text_vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Every word adds to six places of its own."""
    vector = [0.0] * dimensions
    for word in _WORD.findall(text.lower()):
        for place, weight in _places(word):
            vector[place % dimensions] += weight
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


@lru_cache(maxsize=4096)
def _places(word: str) -> tuple[tuple[int, float], ...]:
    digest = hashlib.sha256(word.encode()).digest()
    return tuple((digest[i] * 256 + digest[i + 1], 1.0 if digest[i] % 3 else -0.5) for i in range(0, 12, 2))


def blob(vector: Sequence[float]) -> bytes:
    """Little-endian float32, as `embeddings.vector` holds it."""
    return struct.pack(f"<{len(vector)}f", *vector)
