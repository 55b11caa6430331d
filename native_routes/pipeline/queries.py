"""How many jobs wait, run and ended. Columns come as stored: SQLite keeps bytes in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.query import Query


@dataclass(frozen=True, slots=True)
class StatusCount:
    status: Any  # None, text or bytes
    jobs: int


MEMORY_JOBS: Final = Query("SELECT status, count(*) FROM memory_jobs GROUP BY status", row=StatusCount)
SUMMARY_JOBS: Final = Query("SELECT status, count(*) FROM summary_jobs GROUP BY status", row=StatusCount)
