"""Which entities a query names. All names are in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from native_routes.database import Connection
from native_routes.recall.queries import ENTITIES, ENTITIES_STATE, Entity

MOST_NAMED: Final = 20
# SQLite refuses an expression of 1,000 levels and a longer pattern: legacy's statement then fails, and finds nothing.
MOST_TOKENS: Final = 999
MOST_TOKENS_OF_AGENT: Final = 997
LONGEST_TOKEN: Final = 50_000 - len("%%")


class _Names:
    """Names one after another, to be searched in one pass for each token. ASCII letters match in either case."""

    def __init__(self, names: Sequence[Any]) -> None:
        # LIKE reads a name up to its first NUL, bytes as text, and has no match for NULL.
        texts = [_bytes(name).partition(b"\0")[0].lower() for name in names]
        self._text = b"\n".join(texts)
        self._starts = [0]
        for text in texts:
            self._starts.append(self._starts[-1] + len(text) + 1)

    def containing(self, token: bytes) -> set[int]:
        """Positions of the names that contain the token."""
        found = set()
        at = self._text.find(token)
        while at >= 0:
            position = bisect_right(self._starts, at) - 1
            found.add(position)
            at = self._text.find(token, self._starts[position + 1])
        return found


@dataclass(frozen=True, slots=True)
class EntityNames:
    """Every entity of one state of the database, most mentioned first."""

    entities: Sequence[Entity]
    canonical: _Names
    plain: _Names

    @classmethod
    def of(cls, entities: Sequence[Entity]) -> EntityNames:
        canonical = _Names([entity.canonical_name for entity in entities])
        return cls(entities, canonical, _Names([entity.name for entity in entities]))

    def named(self, tokens: Sequence[str]) -> list[str]:
        """Ids of at most 20 entities of any agent whose canonical name contains a token."""
        if len(tokens) > MOST_TOKENS or _too_long(tokens):
            return []
        positions: set[int] = set()
        for token in set(tokens):
            positions |= self.canonical.containing(token.encode())
        return [self.entities[position].id for position in sorted(positions)[:MOST_NAMED]]

    def named_of(self, agent: str, tokens: Sequence[str]) -> list[str] | None:
        """Ids of at most 20 entities of an agent whose canonical name or name contains a token; None for a failure."""
        different = set(tokens)
        if len(different) > MOST_TOKENS_OF_AGENT or _too_long(different):
            return None
        positions: set[int] = set()
        for token in different:
            positions |= self.canonical.containing(token.encode()) | self.plain.containing(token.encode())
        ours = (self.entities[position] for position in sorted(positions))
        return [entity.id for entity in ours if entity.agent_id == agent][:MOST_NAMED]


class KnownEntities:
    """The entities of one database, read again when they have changed. For one connection only."""

    def __init__(self) -> None:
        self._names = EntityNames.of([])
        self._state: str | None = None
        self._version = -1

    def names(self, connection: Connection) -> EntityNames:
        """Every entity in the state that the connection sees now."""
        version = connection.pragma("data_version")  # every commit of another connection changes it
        if version == self._version:
            return self._names
        state = ENTITIES_STATE.all(connection)[0].text
        if state != self._state:
            self._names, self._state = EntityNames.of(ENTITIES.all(connection)), state
        self._version = version
        return self._names


def _bytes(name: Any) -> bytes:
    if isinstance(name, str):
        return name.encode()
    return name if isinstance(name, bytes) else b""


def _too_long(tokens: Iterable[str]) -> bool:
    return any(len(token) > LONGEST_TOKEN for token in tokens)
