"""The one TEXT value in which a memory keeps its tags: comma-joined, or a JSON array, or whatever was sent."""

from __future__ import annotations

from typing import Any

from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import trim


def split_tags(text: str) -> list[str]:
    """The parts between commas, trimmed; empty ones are dropped."""
    return [tag for part in text.split(",") if (tag := trim(part))]


def parse_tags_field(text: str | None) -> list[str]:
    """Legacy: parseTagsField of the embedding list and of similar. Texts of a JSON array stay as they are.

    Raises TypeError for bytes, none of them too.
    """
    if isinstance(text, bytes):
        raise TypeError(f"expected text, found {len(text)} bytes")
    if not text:
        return []
    array = _json_array(text)
    return split_tags(text) if array is None else [tag for tag in array if isinstance(tag, str)]


def parse_tags_of_timeline(text: str | None) -> list[str]:
    """Legacy: the timeline's reading. JSON counts only between brackets; its texts are trimmed, empty ones dropped.

    Raises TypeError for bytes.
    """
    text = trim("" if text is None else text)
    array = _json_array(text) if text.startswith("[") and text.endswith("]") else None
    if array is None:
        return split_tags(text)
    return [trimmed for tag in array if isinstance(tag, str) and (trimmed := trim(tag))]


def _json_array(text: str) -> list[Any] | None:
    try:
        value = parse_json(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None
