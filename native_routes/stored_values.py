"""Column values as JSON has them in legacy's replies."""

from __future__ import annotations

import dataclasses
from typing import Any


def as_json(stored: Any) -> Any:
    """The value; bytes become an object of their indexes, as JavaScript writes a Uint8Array."""
    return {str(index): byte for index, byte in enumerate(stored)} if isinstance(stored, bytes) else stored


def as_object(row: Any) -> dict[str, Any]:
    """A row's columns by name, in their order."""
    return {field.name: as_json(getattr(row, field.name)) for field in dataclasses.fields(row)}


def bytes_text(stored: bytes) -> str:
    """JavaScript's text of a Uint8Array: its numbers between commas."""
    return ",".join(map(str, stored))
