"""Hybrid search: the steps of one recall after its query has become a vector, on one connection and in one snapshot.

Filters hold for keyword hits and traversal, not for vector hits. A step that fails is left out, as in legacy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from native_routes.database import Connection, DatabaseError, DeadlineExceeded, translated
from native_routes.embedders import Vector
from native_routes.filters import Filter
from native_routes.hybrid_ranking import Candidate, cut, entity_tokens, match_expression, merge, rerank
from native_routes.js_dates import iso_text
from native_routes.js_values import UnbindableError, bindable
from native_routes.memory_config import MemoryConfig
from native_routes.recall.access_tracking import NOTHING_PENDING, AccessTracker, Pending
from native_routes.recall.entities import EntityIndex
from native_routes.recall.graph import boost_by_graph
from native_routes.recall.rehearsal import boost_rehearsed
from native_routes.recall.results import Result, find_rationales, load_results
from native_routes.recall.similarity import stored_similarity
from native_routes.recall.sources import Scored, find_keywords, find_near
from native_routes.recall.traversal import Traversal, Walk, boost_by_traversal
from native_routes.vectors import Neighbour

DEFAULT_LIMIT: Final = 10
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RecallRequest:
    query: str  # trimmed, not empty
    keyword_query: str
    limit: float  # as slice() takes it
    filter: Filter
    agent: str | None  # None: nobody, so there is nothing to traverse


@dataclass(frozen=True, slots=True)
class Found:
    """What was found before: by the query's vector, None without an embedder, and by words when these took a while."""

    vector: Vector | None = None
    nearest: Sequence[Neighbour] = ()
    keywords: Scored | None = None  # None: still to be searched


@dataclass(slots=True)
class Searcher:
    """Runs searches on the threads of a Reader. One for the process."""

    tracker: AccessTracker | None = None  # None: accesses are not counted, as in shadow
    entities: EntityIndex = field(default_factory=EntityIndex)
    failed_steps: Counter[str] = field(default_factory=Counter)
    last_failure: str | None = None
    last_walk: Walk | None = None

    def search(
        self, connection: Connection, request: RecallRequest, config: MemoryConfig, before: Found, now_ms: int
    ) -> dict[str, Any]:
        """The body of the reply. Raises DatabaseError only when nothing can be read, or time is over."""
        pending = NOTHING_PENDING if self.tracker is None else self.tracker.begin(connection)
        near = self.near(connection, request, before.nearest)
        candidates = self._candidates(connection, request, config, before, near, now_ms, pending)
        chosen = cut(candidates, request.limit)
        if not chosen:
            # Also when no vector was searched: legacy's way.
            return {"results": [], "query": request.query, "method": "hybrid"}
        results = self._results(connection, chosen, config, now_ms)
        method = "hybrid" if near.scores else "keyword"
        return {"results": results, "query": request.query, "method": method}

    def keywords(self, connection: Connection, request: RecallRequest, limit: float) -> Scored:
        """Memories by words, best first; none when FTS5 refuses the words."""
        match = match_expression(request.keyword_query)
        found = self._attempt("keywords", lambda: find_keywords(connection, match, request.filter, limit))
        return found or Scored()

    def near(self, connection: Connection, request: RecallRequest, nearest: Sequence[Neighbour]) -> Scored:
        """Memories by vector, nearest first; none for a type that SQLite does not take."""
        if not nearest:
            return Scored()
        type_ = request.filter.values.get("type")
        return self._attempt("vectors", lambda: find_near(connection, nearest, bindable(type_))) or Scored()

    def _candidates(
        self,
        connection: Connection,
        request: RecallRequest,
        config: MemoryConfig,
        before: Found,
        near: Scored,
        now_ms: int,
        pending: Pending,
    ) -> list[Candidate]:
        search = config.search
        words = self.keywords(connection, request, search.top_k) if before.keywords is None else before.keywords
        candidates = merge(words.scores, near.scores, alpha=search.alpha, min_score=search.min_score)
        if search.rehearsal_enabled and search.rehearsal_weight > 0 and candidates:
            boost_rehearsed(candidates, {**words.uses, **near.uses}, search, now_ms, pending)
        if config.graph.enabled:
            self._boost_by_knowledge(connection, candidates, request, config, now_ms)
        if config.reranker.enabled:
            self._attempt("reranker", lambda: _rerank(connection, candidates, before.vector, config.reranker.top_n))
        return candidates

    def _boost_by_knowledge(
        self,
        connection: Connection,
        candidates: list[Candidate],
        request: RecallRequest,
        config: MemoryConfig,
        now_ms: int,
    ) -> None:
        tokens = entity_tokens(request.query)
        weight, min_score = config.graph.boost_weight, config.search.min_score
        if weight > 0 and tokens:
            self._attempt(
                "graph",
                lambda: boost_by_graph(connection, candidates, self.entities.names(connection), tokens, weight),
            )
        if config.traversal.enabled and request.agent is not None:
            wanted = Traversal(tokens, request.agent, min_score, request.filter)
            self._attempt("traversal", lambda: self._traverse(connection, candidates, wanted, config, now_ms))

    def _traverse(
        self, connection: Connection, candidates: list[Candidate], wanted: Traversal, config: MemoryConfig, now_ms: int
    ) -> None:
        names = self.entities.names(connection)
        walk = boost_by_traversal(connection, candidates, names, wanted, config.traversal, now_ms)
        self.last_walk = walk or self.last_walk

    def _results(
        self, connection: Connection, chosen: Sequence[Candidate], config: MemoryConfig, now_ms: int
    ) -> list[Result]:
        max_chars = config.recall_truncate_chars
        results = load_results(connection, chosen, max_chars)
        if self.tracker is not None:
            self.tracker.record((candidate.id for candidate in chosen), _sql_now(now_ms))
        if config.graph.enabled:
            self._attempt("rationales", lambda: results.extend(find_rationales(connection, results, max_chars)))
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


def _rerank(connection: Connection, candidates: list[Candidate], vector: Vector | None, top_n: float) -> None:
    count = int(top_n)
    similarity = None if vector is None else stored_similarity(connection, candidates[:count], vector)
    rerank(candidates, count, similarity)


def _sql_now(now_ms: int) -> str:
    """`datetime('now')`: UTC, to the second."""
    return iso_text(now_ms)[:19].replace("T", " ")
