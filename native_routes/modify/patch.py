"""What a request wants changed, as parsed from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from native_routes.changing.content import NormalContent, normalize
from native_routes.javascript.coercion import optional_bool, optional_number, optional_text
from native_routes.javascript.primitives import trim
from native_routes.reply import Refusal
from native_routes.tags import split_tags

FIELDS: Final = ("content", "type", "tags", "importance", "pinned")


@dataclass(frozen=True, slots=True)
class Patch:
    """New values; only the `named` fields are to be changed."""

    named: frozenset[str]
    content: NormalContent | None = None
    type: str | None = None
    tags: str | None = None
    importance: float | None = None
    pinned: int | None = None


def read_patch(payload: Mapping[str, Any]) -> Patch:
    """Refuses with 400 the first field, in the order of FIELDS, that is not as it must be, and an empty patch."""
    named = frozenset(name for name in FIELDS if name in payload)
    patch = Patch(
        named,
        content=_content(payload["content"]) if "content" in named else None,
        type=_type(payload["type"]) if "type" in named else None,
        tags=_tags(payload["tags"]) if "tags" in named else None,
        importance=_importance(payload["importance"]) if "importance" in named else None,
        pinned=_pinned(payload["pinned"]) if "pinned" in named else None,
    )
    if not named:
        raise Refusal(400, "at least one of content, type, tags, importance, pinned is required")
    return patch


def _content(value: object) -> NormalContent:
    if not isinstance(value, str):
        raise Refusal(400, "content must be a string")
    content = normalize(value)
    if not content.storage:
        raise Refusal(400, "content must not be empty")
    return content


def _type(value: object) -> str:
    text = optional_text(value)
    if text is None:
        raise Refusal(400, "type must be a non-empty string")
    return text


def _tags(value: object) -> str | None:
    """Comma-joined. Of a list, texts count, and may hold commas; None removes all tags, as an empty list does."""
    if isinstance(value, str):
        return ",".join(split_tags(value)) or None
    if isinstance(value, list):
        return ",".join(tag for item in value if isinstance(item, str) and (tag := trim(item))) or None
    if value is not None:
        raise Refusal(400, "tags must be a string, string array, or null")
    return None


def _importance(value: object) -> float:
    number = optional_number(value)
    if number is None or not 0 <= number <= 1:
        raise Refusal(400, "importance must be a finite number between 0 and 1")
    return number


def _pinned(value: object) -> int:
    pinned = optional_bool(value)
    if pinned is None:
        raise Refusal(400, "pinned must be a boolean")
    return int(pinned)
