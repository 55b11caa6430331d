"""What a recall asks for, from JSON of any shape."""

from __future__ import annotations

from typing import Any

from native_routes.javascript.primitives import number_text, trim
from native_routes.javascript.values import bound_text, to_number
from native_routes.recall.search import DEFAULT_LIMIT, RecallRequest
from native_routes.reply import Refusal
from native_routes.searching.filters import build_filter


class QueryNotTextError(TypeError):
    """Null in place of a body, or a query that is no text: legacy throws."""


def read_recall(body: Any, agent_field: str | None) -> RecallRequest:
    """Raises QueryNotTextError, Refusal for a blank query, and TypeError for what makes legacy's search fail."""
    if body is None:
        raise QueryNotTextError("null")
    fields = body if isinstance(body, dict) else {}  # a list, text or number has no such fields
    query = fields.get("query")
    if query is not None and not isinstance(query, str):
        raise QueryNotTextError(f"query is {type(query).__name__}: expected text")
    query = trim(query or "")
    if not query:
        raise Refusal(400, "query is required")
    words = fields.get("keywordQuery")
    if words is not None and not isinstance(words, str):
        raise TypeError(f"keywordQuery is {type(words).__name__}: expected text")
    importance = fields.get("importance_min")
    limit = fields.get("limit")
    return RecallRequest(
        query=query,
        keyword_query=trim(query if words is None else words),
        limit=DEFAULT_LIMIT if limit is None else to_number(limit),
        filter=build_filter(
            type_=fields.get("type"),
            tags=fields.get("tags"),
            who=fields.get("who"),
            pinned=fields.get("pinned"),
            importance_min=importance if _is_number(importance) else None,
            since=fields.get("since"),
            until=fields.get("until"),
        ),
        agent=_agent(fields.get("agentId"), agent_field),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _agent(given: Any, field: str | None) -> str | None:
    """The agent whose knowledge counts, None for a list or an object, which SQLite does not take.

    SQLite compares a number with the column's text as text.
    """
    if given is None:
        return "default" if field is None else field
    if isinstance(given, str):
        return bound_text(given)
    return number_text(float(given)) if isinstance(given, bool | int | float) else None
