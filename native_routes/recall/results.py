"""Recall's result objects, and the rationales that are added to decisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from native_routes.database import Connection
from native_routes.javascript.primitives import undefined
from native_routes.javascript.values import truthy, utf16_head, utf16_length
from native_routes.recall.mentions import KnownMentions
from native_routes.recall.queries import MEMORIES, MENTIONED, RATIONALES, Found, texts
from native_routes.searching.hybrid_ranking import Candidate, round_to_2
from native_routes.stored_values import as_json, bytes_text

Result = dict[str, Any]


def load_results(connection: Connection, chosen: Sequence[Candidate], max_chars: float) -> list[Result]:
    """One object for each candidate that is still a memory, deleted ones included; in their order."""
    found = MEMORIES.all(connection, ids=texts(candidate.id for candidate in chosen))
    rows = {row.id: row for row in found}
    return [
        to_result(rows[candidate.id], candidate.score, candidate.source, max_chars)
        for candidate in chosen
        if candidate.id in rows
    ]


def to_result(row: Found, score: float, source: str, max_chars: float, *, supplementary: bool = False) -> Result:
    length = len(row.content) if isinstance(row.content, bytes) else utf16_length(row.content)
    truncated = length > max_chars
    return {
        "id": as_json(row.id),
        "content": f"{_head(row.content, int(max_chars))} [truncated]" if truncated else as_json(row.content),
        "content_length": length,
        "truncated": truncated,
        "score": round_to_2(score),
        "source": source,
        "type": as_json(row.type),
        "tags": as_json(row.tags),
        "pinned": truthy(row.pinned),
        "importance": as_json(row.importance),
        "who": as_json(row.who),
        "project": as_json(row.project),
        "created_at": as_json(row.created_at),
        "supplementary": True if supplementary else undefined,
    }


def _head(content: str | bytes, count: int) -> str:
    """The first units of a text, or the numbers of the first bytes."""
    return bytes_text(content[:count]) if isinstance(content, bytes) else utf16_head(content, count)


def find_rationales(
    connection: Connection, mentions: KnownMentions, results: Sequence[Result], max_chars: float
) -> list[Result]:
    """Up to ten live rationales about the entities of the decisions among the results, without those shown already.

    They come after the cut: they ignore the limit and the filters, and do not count as accessed.
    """
    decisions = [result["id"] for result in results if result["type"] == "decision"]
    if not decisions:
        return []
    entities = [row.id for row in MENTIONED.all(connection, ids=texts(decisions))]
    if not entities:
        return []
    shown = {result["id"] for result in results}
    rows = RATIONALES.all(connection, rows=json.dumps(mentions.rationales(connection, entities).tolist()))
    return [to_result(row, 0, "graph", max_chars, supplementary=True) for row in rows if row.id not in shown]
