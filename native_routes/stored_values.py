"""Column values as JSON has them in legacy's replies."""

from __future__ import annotations

from typing import Any


def as_json(stored: Any) -> Any:
    """The value; bytes become an object of their indexes, as JavaScript writes a Uint8Array."""
    return {str(index): byte for index, byte in enumerate(stored)} if isinstance(stored, bytes) else stored


def as_object(row: Any) -> dict[str, Any]:
    """The columns of a row, which is a dataclass, by name and in their order."""
    columns = {name: getattr(row, name) for name in row.__dataclass_fields__}
    for name, stored in columns.items():
        if type(stored) is bytes:
            columns[name] = as_json(stored)
    return columns


def bytes_text(stored: bytes) -> str:
    """JavaScript's text of a Uint8Array: its numbers between commas."""
    return ",".join(map(str, stored))
