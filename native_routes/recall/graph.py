"""Memories that mention an entity of the query, or a neighbour of one, rank higher. Adds no candidate."""

from __future__ import annotations

from collections.abc import Sequence

from native_routes.database import Connection
from native_routes.recall.entities import KnownEntities
from native_routes.recall.mentions import KnownMentions
from native_routes.recall.queries import NEIGHBOURS, ROWS_OF, texts
from native_routes.searching.hybrid_ranking import Candidate, sort_by_score, unique


def boost_by_graph(
    connection: Connection,
    entities: KnownEntities,
    mentions: KnownMentions,
    candidates: list[Candidate],
    tokens: Sequence[str],
    weight: float,
) -> None:
    """Entities of every agent count.

    Differs: legacy gives up the boost when it takes longer than `graph.boostTimeoutMs`; this takes no such time.
    """
    named = entities.names(connection).named(tokens)
    if not named:
        return
    neighbours = NEIGHBOURS.all(connection, entities=texts(named))
    linked = set(mentions.linked(connection, unique([*named, *(row.id for row in neighbours)])).tolist())
    if not linked:
        return
    rows = ROWS_OF.all(connection, ids=texts(candidate.id for candidate in candidates))
    raised = {row.id for row in rows if row.rowid in linked}
    for candidate in candidates:
        if candidate.id in raised:
            candidate.raise_by(weight)
    sort_by_score(candidates)
