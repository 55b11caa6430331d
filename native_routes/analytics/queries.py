"""Scores of sessions. Columns come as stored: SQLite keeps text in a number's column, and bytes in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.query import Query

Stored = Any  # None, int, float, str or bytes


@dataclass(frozen=True, slots=True)
class SessionScore:
    id: Stored
    session_key: Stored
    project: Stored
    harness: Stored
    score: Stored
    memories_recalled: Stored
    memories_used: Stored
    novel_context_count: Stored
    reasoning: Stored
    created_at: Stored


@dataclass(frozen=True, slots=True)
class LatestScore:
    project: Stored
    score: Stored
    created_at: Stored


# Newest first.
SCORES: Final = Query(
    """
    SELECT id, session_key, project, harness, score, memories_recalled, memories_used, novel_context_count, reasoning,
           created_at
    FROM session_scores ORDER BY created_at DESC LIMIT :limit
    """,
    row=SessionScore,
)
SCORES_OF_PROJECT: Final = Query(
    """
    SELECT id, session_key, project, harness, score, memories_recalled, memories_used, novel_context_count, reasoning,
           created_at
    FROM session_scores WHERE project = :project ORDER BY created_at DESC LIMIT :limit
    """,
    row=SessionScore,
)
# One of each project; what belongs to none is never equal to itself, and so is left out.
LATEST_SCORES: Final = Query(
    """
    SELECT project, score, created_at
    FROM session_scores
    WHERE id IN (SELECT id FROM session_scores AS same
                 WHERE same.project = session_scores.project ORDER BY same.created_at DESC LIMIT 1)
    ORDER BY created_at DESC
    """,
    row=LatestScore,
)
