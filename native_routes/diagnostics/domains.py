"""The domains that follow from rows alone. Each begins at 1 and loses what its findings cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from native_routes.database import Connection, StatementError, translated
from native_routes.diagnostics import queries
from native_routes.diagnostics.queries import Memories, Stored
from native_routes.diagnostics.score import Domain, scored
from native_routes.javascript.dates import iso_text, parse_date
from native_routes.stored_values import bytes_text

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
LEASE_MS: Final = 10 * 60_000  # a job that is still leased after it was lost by its worker
NO_CONNECTOR: Final[Domain] = scored(1.0, connectorCount=0, syncingCount=0, errorCount=0, oldestErrorAge=0)


def read_domains(connection: Connection, now_ms: int) -> dict[str, Domain]:
    """Queue, storage, index, mutation, duplicate and connector."""
    counted = queries.MEMORIES.one(connection)
    assert counted is not None
    active = counted.active or 0
    return {
        "queue": _queue(connection, now_ms),
        "storage": _storage(counted),
        "index": _index(connection, active, counted.embedded or 0),
        "mutation": _mutation(connection, now_ms),
        "duplicate": _duplicate(connection, active),
        "connector": _connector(connection, now_ms),
    }


def _mutation(connection: Connection, now_ms: int) -> Domain:
    """Recoveries and deletions of seven days: many recoveries mean that the wrong memories were deleted."""
    found = queries.MUTATIONS_SINCE.one(connection, since=iso_text(now_ms - 7 * DAY_MS))
    assert found is not None
    recovered = found.recovered or 0
    return scored(1.0 - (0.3 if recovered > 5 else 0), recentRecovers=recovered, recentDeletes=found.deleted or 0)


def _queue(connection: Connection, now_ms: int) -> Domain:
    pending = queries.PENDING.one(connection)
    ended = queries.ENDED_SINCE.one(connection, since=iso_text(now_ms - HOUR_MS))
    late = queries.LEASED_BEFORE.one(connection, before=iso_text(now_ms - LEASE_MS))
    assert pending is not None
    assert ended is not None
    assert late is not None
    oldest_age_s = _age_ms(pending.oldest, now_ms) / 1000
    dead_rate = (ended.dead or 0) / ended.ended if ended.ended else 0
    score = 1.0
    score -= 0.3 if pending.jobs > 50 else 0
    score -= 0.3 if dead_rate > 0.01 else 0
    score -= 0.2 if oldest_age_s > 300 else 0
    score -= 0.2 if late.number > 0 else 0
    return scored(score, depth=pending.jobs, oldestAgeSec=oldest_age_s, deadRate=dead_rate, leaseAnomalies=late.number)


def _storage(counted: Memories) -> Domain:
    """Legacy: `dbSizeBytes` is always 0."""
    total, deleted = counted.total, counted.deleted or 0
    ratio = deleted / total if total else 0
    return scored(1.0 - (0.3 if ratio > 0.3 else 0), totalMemories=total, deletedTombstones=deleted, dbSizeBytes=0)


def _index(connection: Connection, active: int, embedded: int) -> Domain:
    """The index holds deleted memories too, so that many of them show as a mismatch."""
    indexed = _attempt(lambda: queries.INDEXED.one(connection))
    rows = indexed.number if indexed is not None else 0
    mismatch = active > 0 and rows > active * 1.1
    coverage = embedded / active if active else 1
    score = 1.0
    score -= 0.5 if mismatch else 0
    score -= 0.3 if coverage < 0.8 else 0
    return scored(score, ftsRowCount=rows, memoriesRowCount=active, ftsMismatch=mismatch, embeddingCoverage=coverage)


def _duplicate(connection: Connection, active: int) -> Domain:
    found = queries.DUPLICATES.one(connection)
    assert found is not None
    ratio = found.excess / active if active else 0
    cost = 0.5 if ratio > 0.1 else 0.3 if ratio > 0.05 else 0
    return scored(
        1.0 - cost,
        exactDuplicates=found.excess,
        exactClusters=found.clusters,
        totalActive=active,
        duplicateRatio=ratio,
    )


def _connector(connection: Connection, now_ms: int) -> Domain:
    found = _attempt(lambda: queries.CONNECTORS.one(connection))
    if found is None:
        return NO_CONNECTOR
    age_ms = _age_ms(found.oldest_failure, now_ms)
    score = 1.0
    score -= 0.3 if found.failed else 0
    score -= 0.2 if age_ms > DAY_MS else 0
    return scored(
        score,
        connectorCount=found.total,
        syncingCount=found.syncing or 0,
        errorCount=found.failed or 0,
        oldestErrorAge=age_ms,
    )


def _attempt(read: Callable[[], Any]) -> Any:
    """What `read()` finds; None where the statement fails, because the table is missing for example."""
    try:
        with translated():
            return read()
    except StatementError:
        return None


def _age_ms(stored: Stored, now_ms: int) -> float:
    """Milliseconds since a stored date, 0 for none and for one to come, NaN for what is no date."""
    if not stored and not isinstance(stored, bytes):  # no bytes at all are an object, and true, in JavaScript
        return 0
    ms = parse_date(bytes_text(stored) if isinstance(stored, bytes) else stored)
    return math.nan if ms is None else max(0, now_ms - ms)
