"""What a request wants to be remembered, and how: its body read as legacy reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from native_routes.changing.prefixes import read_prefixes
from native_routes.javascript.primitives import trim
from native_routes.javascript.values import truthy

DEFAULT_WHO = "daemon"
DEFAULT_SOURCE_TYPE = "manual"


class NotTextError(TypeError):
    """A value that legacy takes for text and is none; it answers 500 there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Values that are Any come as sent, of any JSON type."""

    content: str  # without prefixes
    who: Any
    project: Any
    importance: Any
    tags: Any
    pinned: bool
    source_type: str
    source_id: str | None


def read_content(body: Any) -> str:
    """What is to be remembered, without outer white space; "" when there is nothing. Raises NotTextError."""
    if body is None:
        raise NotTextError("the body is null")
    return _text(body, "content")


def read_wish(body: Any, content: str) -> Wish:
    """`content` as `read_content` found it; what the body says counts more than prefixes. Raises NotTextError."""
    source_type, source_id = _text(body, "sourceType"), _text(body, "sourceId")
    prefixed = read_prefixes(content)
    return Wish(
        content=prefixed.content,
        who=_given(body, "who", DEFAULT_WHO),
        project=_given(body, "project", None),
        importance=_given(body, "importance", prefixed.importance),
        tags=_given(body, "tags", prefixed.tags),
        pinned=truthy(_given(body, "pinned", prefixed.pinned)),
        source_type=source_type or DEFAULT_SOURCE_TYPE,
        source_id=source_id or None,
    )


def _given(body: Any, name: str, otherwise: Any) -> Any:
    """A body that is no object has no fields."""
    value = body.get(name) if isinstance(body, dict) else None
    return otherwise if value is None else value


def _text(body: Any, name: str) -> str:
    value = _given(body, name, "")
    if not isinstance(value, str):
        raise NotTextError(f"{name} is {type(value).__name__}")
    return trim(value)
