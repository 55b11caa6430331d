"""Whether a table has only grown since it was last looked at, so that only its newer rows need to be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GrownTable:
    """A table as it was looked at.

    SQLite gives a new row the number after the highest one. So while the newest known row is there, with its content,
    and the table has as many rows up to it as it had, these are the same rows. A row that is deleted and made again
    has another id, or another time of creation. Of an older database that was copied into this one none of it holds.
    """

    count: int = 0
    highest: int = 0
    newest: str | None = None  # what is in the row `highest`
    schema: int = -1  # its version, which such a copy raises

    def goes_on_from(self, known: GrownTable, newer: int, newest: str | None) -> bool:
        """`newer` rows have a number beyond `known.highest`; `newest` is what is in that row now."""
        return self.schema == known.schema and self.count - newer == known.count and newest == known.newest
