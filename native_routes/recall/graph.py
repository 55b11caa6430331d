"""Memories that mention an entity of the query, or a neighbour of one, rank higher. Adds no candidate."""

from __future__ import annotations

import json
from collections.abc import Sequence

from native_routes.database import Connection
from native_routes.recall.entities import KnownEntities
from native_routes.recall.queries import MENTIONING, NEIGHBOURS
from native_routes.searching.hybrid_ranking import Candidate, sort_by_score, unique


def boost_by_graph(
    connection: Connection, entities: KnownEntities, candidates: list[Candidate], tokens: Sequence[str], weight: float
) -> None:
    """Entities of every agent count.

    Differs: legacy gives up the boost when it takes longer than `graph.boostTimeoutMs`; this takes no such time.
    """
    linked = _linked(connection, entities.names(connection).named(tokens))
    if not linked:
        return
    for candidate in candidates:
        if candidate.id in linked:
            candidate.raise_by(weight)
    sort_by_score(candidates)


def _linked(connection: Connection, named: list[str]) -> set[str]:
    if not named:
        return set()
    neighbours = NEIGHBOURS.all(connection, entities=json.dumps(named))
    reached = json.dumps(unique([*named, *(row.id for row in neighbours)]))
    return {row.id for row in MENTIONING.all(connection, entities=reached)}
