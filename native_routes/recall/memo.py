"""What searches found in the database as it is now, for the next one that asks the same; gone with the next change."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from native_routes.database import Connection

T = TypeVar("T")
MOST_ANSWERS: Final = 512  # of each kind; an answer is a few hundred ids at most


class Memo:
    """Holds while no other connection commits: what this connection writes itself must not change an answer kept here.

    `PRAGMA data_version` tells of every commit of other connections, and of none of this one's own.
    """

    def __init__(self) -> None:
        self._version = -1
        self._answers: dict[str, dict[Hashable, Any]] = {}

    def is_current(self, connection: Connection) -> bool:
        """Whether the database is as it was when this was asked last; to be asked first in each snapshot."""
        rows: list[tuple[Any, ...]] = connection.execute("PRAGMA data_version").fetchall()
        before, self._version = self._version, int(rows[0][0])
        return before == self._version

    def forget(self) -> None:
        self._answers.clear()

    def answer(self, kind: str, question: Hashable, find: Callable[[], T]) -> T:
        """What `find()` returns, or what it returned for the same question. Callers share it."""
        known = self._answers.setdefault(kind, {})
        if question in known:
            found: T = known[question]
            return found
        found = find()
        if len(known) >= MOST_ANSWERS:
            known.clear()
        known[question] = found
        return found
