"""The four routes: what each request asks for, and the shape of its reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

from native_routes.daemon_log import DaemonLog
from native_routes.database import DatabaseError
from native_routes.declaration import NativeRequest
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import parse_float, parse_int
from native_routes.memory_config import MemoryConfig
from native_routes.outside import Clock
from native_routes.query_string import query_parameter
from native_routes.reader import Reader
from native_routes.recall.keyword_search import KeywordSearch, list_who, search_keywords
from native_routes.recall.recall_request import QueryNotTextError, read_recall
from native_routes.recall.search import Asked, RecallRequest, Searcher
from native_routes.recall.similar import find_anchor, load_similar
from native_routes.recall.sources import Scored
from native_routes.reply import UNCAUGHT, Refusal, Reply, json_reply
from native_routes.searching.embedders import Embedder
from native_routes.searching.filters import UnusableFilterError
from native_routes.searching.vectors import VectorSearch

FAILED: Final = {"error": "Recall failed", "results": []}
# Characters. FTS5 looks up every word in all memories before it scores the first, and cannot be stopped meanwhile.
LONG_QUERY: Final = 400
SIMILAR_FAILED: Final = {"error": "Similarity search failed", "results": []}


class Context(Protocol):
    """What recall needs of the process."""

    @property
    def reader(self) -> Reader: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def config(self) -> Callable[[], Awaitable[MemoryConfig]]: ...
    @property
    def embedder(self) -> Embedder: ...
    @property
    def vectors(self) -> VectorSearch: ...
    @property
    def searcher(self) -> Searcher: ...
    @property
    def daemon_log(self) -> DaemonLog: ...


async def recall(request: NativeRequest) -> Reply:
    """Memories by words and meaning, best first.

    Legacy: POST /api/memory/recall, whose body may be any JSON but null, and whose query must be text.
    """
    try:
        body = parse_json(_text(await request.body()))
    except (ValueError, RecursionError):
        raise Refusal(400, "Invalid JSON body") from None
    try:
        wanted = read_recall(body, _field(request, b"x-signet-agent-id"))
    except QueryNotTextError:
        return UNCAUGHT  # legacy throws before it begins to search
    except (UnusableFilterError, TypeError) as error:
        return _recall_failed(_context(request), error)
    return await _recall(_context(request), wanted)


async def search_alias(request: NativeRequest) -> Reply:
    """`GET /api/memory/search`: recall with its fields in the query. /api/memory/:id comes first and takes it."""
    target = request.head.target
    importance = query_parameter(target, "importance_min")
    limit = parse_int(query_parameter(target, "limit") or "10")
    body = {
        "query": query_parameter(target, "q") or "",
        "limit": limit,
        "type": query_parameter(target, "type"),
        "tags": query_parameter(target, "tags"),
        "who": query_parameter(target, "who"),
        "since": query_parameter(target, "since"),
        "pinned": query_parameter(target, "pinned") in ("1", "true"),
        "importance_min": parse_float(importance) if importance else None,
    }
    return await _recall(_context(request), read_recall(body, None))


async def _recall(context: Context, wanted: RecallRequest) -> Reply:
    config = await context.config()
    context.embedder.leave_to_legacy(config.embedding)
    vector = await context.embedder.embed_query(wanted.query, config.embedding)
    try:
        keywords = await _keywords(context, wanted, config) if len(wanted.keyword_query) > LONG_QUERY else None
        asked = Asked(wanted, config, vector, context.clock.now_ms(), keywords)
        search = partial(context.searcher.search, asked)
        found = await context.vectors.run(vector, config.search.top_k, search)
    except DatabaseError as error:
        return _recall_failed(context, error)
    return json_reply(found)


def _recall_failed(context: Context, error: Exception) -> Reply:
    context.daemon_log.error("memory", "Recall failed", error)
    return json_reply(FAILED, 500)


async def _keywords(context: Context, wanted: RecallRequest, config: MemoryConfig) -> Scored:
    """What the words of a long query find, nothing when that takes too long.

    Differs: 1,000 common words keep legacy busy for seconds, 10,000 for minutes, and nobody else is answered.
    """
    searcher = context.searcher
    try:
        return await context.vectors.run_aside(
            lambda connection: searcher.keywords(connection, wanted, config.search.top_k)
        )
    except DatabaseError as error:
        searcher.note_failure("keywords", error)
        return Scored()


async def search(request: NativeRequest) -> Reply:
    """Memories by words in FTS5 syntax, or a list by filters; 200 also when it fails. Legacy: GET /memory/search."""
    context, target = _context(request), request.head.target
    if query_parameter(target, "distinct") == "who":
        try:
            return json_reply({"values": await context.reader.run(list_who)})
        except DatabaseError:
            return json_reply({"values": []})
    wanted = KeywordSearch.of(lambda name: query_parameter(target, name))
    now_ms, words = context.clock.now_ms(), context.searcher.words
    try:
        if len(wanted.query) > LONG_QUERY:
            found = await context.vectors.run_aside(
                lambda connection: search_keywords(connection, wanted, now_ms, words)
            )
        else:
            found = await context.reader.run(search_keywords, wanted, now_ms, words)
    except DatabaseError as error:
        context.daemon_log.error("memory", "Error searching memories", error)
        return json_reply({"results": [], "error": "Search failed"})
    return json_reply({"results": found})


async def similar(request: NativeRequest) -> Reply:
    """Memories with a vector near to that of one memory, which need not exist any more. Legacy: GET /memory/similar."""
    context, target = _context(request), request.head.target
    memory = query_parameter(target, "id")
    if not memory:
        raise Refusal(400, "id is required", results=[])
    k = query_parameter(target, "k")
    count = parse_int("10" if k is None else k)
    try:
        anchor = await context.reader.run(find_anchor, memory)
        if anchor is None:
            raise Refusal(404, "No embedding found for this memory", results=[])
        type_ = query_parameter(target, "type") or None
        load = partial(load_similar, memory=memory, type_=type_, count=count)
        found = await context.vectors.run(anchor, count + 1, load)
    except (DatabaseError, TypeError, ValueError) as error:  # TypeError: tags that are stored as bytes
        context.daemon_log.error("memory", "Similarity search failed", error)
        return json_reply(SIMILAR_FAILED, 500)
    return json_reply({"results": found})


def _context(request: NativeRequest) -> Context:
    context: Context = request.context
    return context


def _text(body: bytes) -> str:
    """As fetch decodes a body: a byte order mark is dropped, what is not UTF-8 becomes U+FFFD."""
    return body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


def _field(request: NativeRequest, name: bytes) -> str | None:
    value = request.head.fields.get(name)
    return None if value is None else value.decode("latin-1")
