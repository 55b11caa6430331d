"""What a request hands in as a document: its body read as legacy reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.javascript.primitives import stringify
from native_routes.javascript.values import truthy
from native_routes.reply import Refusal

SOURCE_TYPES: Final = ("text", "url", "file")


@dataclass(frozen=True, slots=True)
class NewDocument:
    """Values that are Any come as sent, of any JSON type."""

    source_type: str
    source_url: Any  # None for a text
    content_type: Any
    title: Any
    raw_content: str | None  # of a text
    connector_id: Any
    metadata_json: str | None


def read_document(body: Any) -> NewDocument:
    """Raises Refusal 400 that names what is missing. A body that is no object has no fields."""
    fields = body if isinstance(body, dict) else {}
    source_type = fields.get("source_type")
    if source_type not in SOURCE_TYPES:
        raise Refusal(400, "source_type must be text, url, or file")
    content, url = fields.get("content"), fields.get("url")
    if source_type == "text" and not isinstance(content, str):
        raise Refusal(400, "content is required for text source_type")
    if source_type == "url" and not isinstance(url, str):
        raise Refusal(400, "url is required for url source_type")
    metadata = fields.get("metadata")
    return NewDocument(
        source_type=source_type,
        source_url=None if source_type == "text" else url,
        content_type=fields.get("content_type"),
        title=fields.get("title"),
        raw_content=content if source_type == "text" else None,
        connector_id=fields.get("connector_id"),
        metadata_json=stringify(metadata) if truthy(metadata) else None,
    )
