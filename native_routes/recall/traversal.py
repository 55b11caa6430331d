"""Memories behind what is known about an entity: along its aspects to attributes, then one hop along dependencies.

Candidates found this way rank higher, other memories that pass the filters are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from native_routes.database import Connection, StatementError, translated
from native_routes.javascript.dates import iso_text
from native_routes.javascript.values import bindable, to_number
from native_routes.memory_config import TraversalConfig
from native_routes.recall.attributes import KnownAttributes
from native_routes.recall.entities import KnownEntities
from native_routes.recall.queries import (
    CONSTRAINTS,
    DEPENDENCIES,
    ENTITY_NAMES,
    PINNED_ENTITIES,
    passing_query,
    texts,
)
from native_routes.searching.filters import Filter
from native_routes.searching.hybrid_ranking import Candidate, sort_by_score, unique

SOURCE = "ka_traversal"


@dataclass(frozen=True, slots=True)
class Traversal:
    """`agent` as text: SQLite compares a number with the column as text too."""

    tokens: Sequence[str]
    agent: str
    min_score: float
    filter: Filter
    now_ms: int


@dataclass(frozen=True, slots=True)
class Walk:
    """What one traversal went through; `reached` are the focal entities and those one hop away."""

    at_ms: int
    agent: str
    focal: list[str]
    reached: list[str]
    memories: list[str]

    def status(self, connection: Connection) -> dict[str, Any]:
        """The snapshot that legacy keeps of its last traversal. Names and constraints are those of now."""
        rows = ENTITY_NAMES.all(connection, ids=texts(self.focal))
        names = {row.id: row.name for row in rows if isinstance(row.name, str)}
        constraints = CONSTRAINTS.all(connection, entities=texts(self.reached), agent=self.agent)
        return {
            "phase": "recall",
            "at": iso_text(self.at_ms),
            "source": "query",
            "focalEntityNames": [names[entity] for entity in self.focal if names.get(entity)],
            "focalEntities": len(self.focal),
            "traversedEntities": len(self.reached),
            "memoryCount": len(self.memories),
            "constraintCount": constraints[0].number,
            "timedOut": False,
        }


def boost_by_traversal(
    connection: Connection,
    entities: KnownEntities,
    known: KnownAttributes,
    candidates: list[Candidate],
    wanted: Traversal,
    config: TraversalConfig,
) -> Walk | None:
    """What was walked, None without a focal entity.

    Differs: legacy ends the walk at `traversal.timeoutMs` with what it has; this takes no such time.
    """
    focal = _focal(connection, entities, wanted)
    if not focal:
        return None
    reached, memories = _walk(connection, known, focal, wanted.agent, config)
    by_id = {candidate.id: candidate for candidate in candidates}
    for memory in memories:
        if memory in by_id:
            by_id[memory].raise_by(config.boost_weight)
    candidates.extend(_added(connection, known, [memory for memory in memories if memory not in by_id], wanted))
    sort_by_score(candidates)
    return Walk(wanted.now_ms, wanted.agent, focal, reached, memories)


def _focal(connection: Connection, entities: KnownEntities, wanted: Traversal) -> list[str]:
    """The agent's pinned entities, newest pin first, then those named in the query, most mentioned first."""
    if not wanted.tokens:
        return []
    named = entities.names(connection).named_of(wanted.agent, wanted.tokens)
    if named is None:
        return []  # legacy's statement fails, and with it the pinned ones are gone too
    pinned = PINNED_ENTITIES.all(connection, agent=wanted.agent)
    return unique(entity for entity in [*(row.id for row in pinned), *named] if entity and isinstance(entity, str))


def _walk(
    connection: Connection, known: KnownAttributes, focal: list[str], agent: str, config: TraversalConfig
) -> tuple[list[str], list[str]]:
    """Entities reached, and ids of the memories behind their active attributes; nothing for a limit of 2.5."""
    try:
        with translated():
            hops = DEPENDENCIES.all(
                connection,
                entities=texts(focal),
                agent=agent,
                strength=config.min_dependency_strength,
                hops=bindable(config.max_dependency_hops),
            )
            reached = unique([*focal, *(row.id for row in hops)])
            aspects, attributes = bindable(config.max_aspects_per_entity), bindable(config.max_attributes_per_aspect)
            memories = known.memories(connection, reached, agent, aspects, attributes)
    except StatementError:
        return [], []
    return reached, memories


def _added(connection: Connection, known: KnownAttributes, missing: list[str], wanted: Traversal) -> list[Candidate]:
    if not missing:
        return []
    if wanted.filter.sql:
        passing = passing_query(wanted.filter.sql).all(connection, ids=texts(missing), **wanted.filter.bound())
        missing = [row.id for row in passing]
    found = known.importance(connection, missing, wanted.agent)
    return [Candidate(memory, _score(importance, wanted.min_score), SOURCE) for memory, importance in found]


def _score(importance: Any, min_score: float) -> float:
    """Between `min_score` and 1; NaN for an importance that is no number, or a NaN `min_score`."""
    score = to_number(importance)
    if score != score or min_score != min_score:  # NaN
        return float("nan")
    return max(min_score, min(1.0, score))
