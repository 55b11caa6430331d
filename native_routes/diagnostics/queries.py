"""What the domains count. Columns come as stored: SQLite keeps text in a number's column, and bytes in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.query import Query

Stored = Any  # None, int, float, str or bytes


@dataclass(frozen=True, slots=True)
class Pending:
    jobs: int
    oldest: Stored  # when the oldest was made; None when there is none


@dataclass(frozen=True, slots=True)
class Ended:
    """Jobs that ended lately, for good or not."""

    dead: int | None  # None when no job changed
    ended: int | None


@dataclass(frozen=True, slots=True)
class Count:
    number: int


@dataclass(frozen=True, slots=True)
class Memories:
    total: int
    deleted: Stored  # the sum of a column that can hold any number
    active: int | None  # None in an empty table, as the next
    embedded: int | None  # active ones that name an embedding model


@dataclass(frozen=True, slots=True)
class Mutations:
    recovered: int | None
    deleted: int | None


@dataclass(frozen=True, slots=True)
class Duplicates:
    excess: int  # memories beyond the first of each cluster
    clusters: int


@dataclass(frozen=True, slots=True)
class Connectors:
    total: int
    syncing: int | None
    failed: int | None
    oldest_failure: Stored


@dataclass(frozen=True, slots=True)
class Trainings:
    number: int
    newest_model: Stored


@dataclass(frozen=True, slots=True)
class Comparison:
    predictor_won: Stored


PENDING: Final = Query("SELECT count(*), min(created_at) FROM memory_jobs WHERE status = 'pending'", row=Pending)
ENDED_SINCE: Final = Query(
    """
    SELECT sum(CASE WHEN status = 'dead' THEN 1 ELSE 0 END),
           sum(CASE WHEN status IN ('completed', 'dead') THEN 1 ELSE 0 END)
    FROM memory_jobs WHERE updated_at >= :since
    """,
    row=Ended,
)
LEASED_BEFORE: Final = Query(
    "SELECT count(*) FROM memory_jobs WHERE status = 'leased' AND created_at < :before", row=Count
)
# One walk over the table for the three domains that count memories.
MEMORIES: Final = Query(
    """
    SELECT count(*), sum(is_deleted), sum(is_deleted = 0), sum(is_deleted = 0 AND embedding_model IS NOT NULL)
    FROM memories
    """,
    row=Memories,
)
INDEXED: Final = Query("SELECT count(*) FROM memories_fts", row=Count)
MUTATIONS_SINCE: Final = Query(
    """
    SELECT sum(CASE WHEN event = 'recovered' THEN 1 ELSE 0 END), sum(CASE WHEN event = 'deleted' THEN 1 ELSE 0 END)
    FROM memory_history WHERE created_at >= :since
    """,
    row=Mutations,
)
# What an operator pinned or overrode is meant to be there twice.
DUPLICATES: Final = Query(
    """
    SELECT coalesce(sum(excess), 0), count(*)
    FROM (SELECT count(*) - 1 AS excess FROM memories
          WHERE is_deleted = 0 AND content_hash IS NOT NULL AND pinned = 0 AND manual_override = 0
          GROUP BY content_hash HAVING count(*) > 1)
    """,
    row=Duplicates,
)
CONNECTORS: Final = Query(
    """
    SELECT count(*), sum(CASE WHEN status = 'syncing' THEN 1 ELSE 0 END),
           sum(CASE WHEN last_error IS NOT NULL THEN 1 ELSE 0 END),
           min(CASE WHEN last_error IS NOT NULL THEN updated_at END)
    FROM connectors
    """,
    row=Connectors,
)
TRAININGS: Final = Query(
    "SELECT count(*), max(model_version) FROM predictor_training_log WHERE agent_id = :agent", row=Trainings
)
# Newest first; equal dates as the index has them.
COMPARISONS: Final = Query(
    """
    SELECT predictor_won FROM predictor_comparisons
    WHERE agent_id = :agent ORDER BY created_at DESC LIMIT :limit
    """,
    row=Comparison,
)
