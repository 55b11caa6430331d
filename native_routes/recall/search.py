"""Hybrid search: the steps of one recall after its query has become a vector, on one connection and in one snapshot.

Filters hold for keyword hits and traversal, not for vector hits. A step that fails is left out, as in legacy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from native_routes.database import Connection, DatabaseError, DeadlineExceeded, translated
from native_routes.javascript.dates import iso_text
from native_routes.javascript.values import UnbindableError, bindable
from native_routes.memory_config import MemoryConfig
from native_routes.recall.access_tracking import AccessTracker
from native_routes.recall.attributes import KnownAttributes
from native_routes.recall.entities import KnownEntities
from native_routes.recall.graph import boost_by_graph
from native_routes.recall.mentions import KnownMentions
from native_routes.recall.rehearsal import boost_rehearsed
from native_routes.recall.results import Result, find_rationales, load_results
from native_routes.recall.similarity import stored_similarity
from native_routes.recall.sources import Scored, find_keywords, find_near
from native_routes.recall.traversal import Traversal, Walk, boost_by_traversal
from native_routes.searching.embedders import Vector
from native_routes.searching.filters import Filter
from native_routes.searching.hybrid_ranking import Candidate, cut, entity_tokens, match_expression, merge, rerank
from native_routes.searching.vectors import Neighbour
from native_routes.searching.word_index import WordIndex

DEFAULT_LIMIT: Final = 10
TOLD: Final = {
    "keywords": "FTS search failed, continuing with vector only",
    "graph": "Graph boost failed (non-fatal)",
    "traversal": "KA traversal boost failed (non-fatal)",
    "reranker": "Reranker failed (non-fatal)",
    "rationales": "Rationale linking failed (non-fatal)",
}
"""Step -> what Signet's log says when it fails; it says nothing of others."""
T = TypeVar("T")
Tell = Callable[[str, str], None]
"""Takes a message of TOLD and the error."""


@dataclass(frozen=True, slots=True)
class RecallRequest:
    query: str  # trimmed, not empty
    keyword_query: str
    limit: float  # as slice() takes it
    filter: Filter
    agent: str | None  # None: nobody, so there is nothing to traverse


@dataclass(frozen=True, slots=True)
class Asked:
    """One recall with all that it needs from outside the database."""

    request: RecallRequest
    config: MemoryConfig
    vector: Vector | None  # of the query; None without an embedder
    now_ms: int
    keywords: Scored | None = None  # found before, because there are many words; None: still to be searched


class Searcher:
    """Runs searches on the one thread of VectorSearch. One for the process."""

    def __init__(self, tracker: AccessTracker | None = None, tell: Tell = lambda message, error: None) -> None:
        """Without a tracker accesses are not counted, as in shadow. `tell` is called on the searches' thread."""
        self.failed_steps: Counter[str] = Counter()
        self.last_failure: str | None = None
        self.last_walk: Walk | None = None
        self.words = WordIndex()
        self._entities = KnownEntities()
        self._mentions = KnownMentions()
        self._attributes = KnownAttributes()
        self._tracker = tracker
        self._tell = tell

    def search(self, asked: Asked, connection: Connection, nearest: Sequence[Neighbour]) -> dict[str, Any]:
        """The body of the reply. Raises DatabaseError only when nothing can be read, or time is over."""
        near = self._near(connection, asked, nearest)
        chosen = cut(self._candidates(connection, asked, near), asked.request.limit)
        if not chosen:
            # Also when no vector was searched: legacy's way.
            return {"results": [], "query": asked.request.query, "method": "hybrid"}
        results = self._results(connection, chosen, asked)
        return {"results": results, "query": asked.request.query, "method": "hybrid" if near.scores else "keyword"}

    def keywords(self, connection: Connection, request: RecallRequest, limit: float) -> Scored:
        """Memories by words, best first; none when FTS5 refuses the words. May run on any thread."""
        match = match_expression(request.keyword_query)
        found = self._attempt("keywords", lambda: find_keywords(connection, self.words, match, request.filter, limit))
        return found or Scored()

    def _near(self, connection: Connection, asked: Asked, nearest: Sequence[Neighbour]) -> Scored:
        """Memories by vector, nearest first; none for a type that SQLite does not take."""
        if not nearest:
            return Scored()
        type_ = asked.request.filter.values.get("type")
        return self._attempt("vectors", lambda: find_near(connection, nearest, bindable(type_))) or Scored()

    def _candidates(self, connection: Connection, asked: Asked, near: Scored) -> list[Candidate]:
        search, config = asked.config.search, asked.config
        words = asked.keywords or self.keywords(connection, asked.request, search.top_k)
        candidates = merge(words.scores, near.scores, alpha=search.alpha, min_score=search.min_score)
        if search.rehearsal_enabled and search.rehearsal_weight > 0:
            uses = {row.id: row for row in (*words.rows, *near.rows)}
            boost_rehearsed(candidates, uses, search, asked.now_ms)
        if config.graph.enabled:
            self._boost_by_knowledge(connection, candidates, asked)
        if config.reranker.enabled:
            self._attempt("reranker", lambda: self._rerank(connection, candidates, asked))
        return candidates

    def _boost_by_knowledge(self, connection: Connection, candidates: list[Candidate], asked: Asked) -> None:
        request, config = asked.request, asked.config
        tokens = entity_tokens(request.query)
        if not tokens:
            return
        entities, mentions, weight = self._entities, self._mentions, config.graph.boost_weight
        if weight > 0:
            self._attempt("graph", lambda: boost_by_graph(connection, entities, mentions, candidates, tokens, weight))
        if config.traversal.enabled and request.agent is not None:
            wanted = Traversal(tokens, request.agent, config.search.min_score, request.filter, asked.now_ms)
            walk = self._attempt(
                "traversal",
                lambda: boost_by_traversal(
                    connection, entities, self._attributes, candidates, wanted, config.traversal
                ),
            )
            self.last_walk = walk or self.last_walk

    def _rerank(self, connection: Connection, candidates: list[Candidate], asked: Asked) -> None:
        count = int(asked.config.reranker.top_n)
        vector, likeness = asked.vector, None
        if vector is not None:
            likeness = self._attempt("likeness", lambda: stored_similarity(connection, candidates[:count], vector))
        rerank(candidates, count, likeness)

    def _results(self, connection: Connection, chosen: Sequence[Candidate], asked: Asked) -> list[Result]:
        max_chars = asked.config.recall_truncate_chars
        results = load_results(connection, chosen, max_chars)
        if self._tracker is not None:
            self._tracker.record([candidate.id for candidate in chosen], _sql_now(asked.now_ms))
        if asked.config.graph.enabled:
            rationales = self._attempt(
                "rationales", lambda: find_rationales(connection, self._mentions, results, max_chars)
            )
            results += rationales or []
        return results

    def _attempt(self, name: str, step: Callable[[], T]) -> T | None:
        try:
            with translated():
                return step()
        except DeadlineExceeded:
            raise
        except (DatabaseError, UnbindableError, ValueError) as error:
            self.note_failure(name, error)
            return None

    def note_failure(self, step: str, error: Exception) -> None:
        self.failed_steps[step] += 1
        self.last_failure = f"{step}: {error}"
        if step in TOLD:
            self._tell(TOLD[step], str(error))


def _sql_now(now_ms: int) -> str:
    """`datetime('now')`: UTC, to the second."""
    return iso_text(now_ms)[:19].replace("T", " ")
