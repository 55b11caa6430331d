"""How often and when memories were recalled: written behind each batch of searches, before their callers are answered.

While another program keeps the database locked, answers do not wait: their counts are written when it is free again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog

from native_routes.database import Connection, DatabaseError, translated

MOST_PENDING: Final = 100_000  # memories; beyond it the database has refused writes for long, and counts are lost

# Legacy: one UPDATE for each search, with 'now'. Several searches of one memory add up to the same row.
RECORD: Final = "UPDATE memories SET last_accessed = :last, access_count = access_count + :count WHERE id = :id"
# The trigger on updates takes a memory's words out of the full-text index and puts the same words in again.
SQLITE_DBCONFIG_ENABLE_TRIGGER: Final = 1003

log = structlog.get_logger(__name__)


class AccessTracker:
    """One for the process. It works on the searches' thread and connection, whose caches its own writes leave alone."""

    def __init__(self) -> None:
        self.lost = 0  # accesses that were never written
        self.problem: str | None = None  # why the last write failed; None when it did not
        self._pending: dict[str, tuple[int, str]] = {}  # memory id -> how often, and last when

    @property
    def due(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._pending)

    def record(self, memories: Iterable[str], when: str) -> None:
        """Count one access of each memory; `when` is UTC as SQLite writes it."""
        pending = self._pending
        for memory in memories:
            known = pending.get(memory)
            if known is None and len(pending) >= MOST_PENDING:
                self.lost += 1
            else:
                pending[memory] = (1, when) if known is None else (known[0] + 1, when)

    def write(self, connection: Connection) -> None:
        """Commit everything that is due, outside of any transaction. Raises DatabaseError; then it stays due."""
        try:
            with translated():
                self._commit(connection)
        except DatabaseError as error:
            if self.problem is None:
                log.warning("accesses_not_written", problem=str(error), memories=len(self._pending))
            self.problem = str(error)
            raise
        self.problem = None

    def give_up(self) -> None:
        """Nothing will be written any more."""
        self.lost += sum(count for count, _ in self._pending.values())
        self._pending = {}

    def _commit(self, connection: Connection) -> None:
        connection.config(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        connection.execute("BEGIN IMMEDIATE")
        try:
            accesses = ({"id": memory, "count": n, "last": last} for memory, (n, last) in self._pending.items())
            connection.executemany(RECORD, accesses)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._pending = {}
