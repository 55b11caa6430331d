"""Ids of seeded rows: they follow from the kind and the name that the code of a home gives a row."""

from __future__ import annotations

import hashlib


def uid(*name: object) -> str:
    """A UUID of version 4's shape that follows from the name."""
    text = hashlib.sha256(":".join(map(str, name)).encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) % 4]}{text[17:20]}-{text[20:32]}"
