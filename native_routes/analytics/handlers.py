"""All routes but the log's. Requests are counted at the front door; errors and the times of workers are legacy's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

from native_routes.analytics import errors, queries
from native_routes.analytics.continuity import summary
from native_routes.analytics.latency import NOTHING
from native_routes.analytics.usage import Usage
from native_routes.database import Connection, DatabaseError
from native_routes.declaration import NativeRequest
from native_routes.diagnostics.domains import read_domains
from native_routes.javascript.primitives import parse_int
from native_routes.javascript.values import bindable
from native_routes.outside import BORROW_WITHIN_S, Clock
from native_routes.pipeline_config import is_number
from native_routes.query_string import query_parameter
from native_routes.reader import Reader
from native_routes.reply import UNCAUGHT, Reply, json_reply
from native_routes.stored_values import as_object

DEFAULT_SCORES: Final = "50"
NOT_BOUND: Final = -(2.0**63)  # the SQLite inside Bun takes it for no integer; the one here would
WORKERS: Final = ("jobs", "predictor_score", "predictor_train")
"""What takes time behind the requests, in legacy's order."""


class Counters(Protocol):
    @property
    def usage(self) -> Usage: ...


class Context(Protocol):
    @property
    def reader(self) -> Reader: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def counters(self) -> Counters: ...
    async def borrow(self, target: bytes, within_s: float = BORROW_WITHIN_S) -> Mapping[str, Any] | None: ...


async def show_usage(request: NativeRequest) -> Reply:
    """How often each path was asked for since the start, and by whom; in the order of their first use."""
    return json_reply(_context(request).counters.usage.shown())


async def show_errors(request: NativeRequest) -> Reply:
    target = request.head.target
    told = await _context(request).borrow(errors.TARGET)
    limit = query_parameter(target, "limit")
    found = errors.last_errors(
        errors.told_errors(told),
        query_parameter(target, "stage"),
        query_parameter(target, "since"),
        parse_int(limit) if limit else errors.DEFAULT_LIMIT,
    )
    return json_reply({"errors": found, "summary": errors.told_summary(told)})


async def show_latency(request: NativeRequest) -> Reply:
    context = _context(request)
    told = await context.borrow(b"/api/analytics/latency")
    return json_reply(latencies(context.counters.usage, told))


async def show_memory_safety(request: NativeRequest) -> Reply:
    """How memories were changed lately, counted anew, and what went wrong with it.

    500 when any domain of the diagnostics cannot be read: legacy reads them all for this one.
    """
    context = _context(request)
    told = await context.borrow(errors.TARGET)
    try:
        domains = await context.reader.run(read_domains, context.clock.now_ms())
    except DatabaseError:
        return UNCAUGHT
    recent = errors.last_errors(errors.told_errors(told), stage="mutation")
    return json_reply(
        {"mutation": domains["mutation"], "recentErrors": recent, "errorSummary": errors.told_summary(told)}
    )


async def show_continuity(request: NativeRequest) -> Reply:
    """Scores of sessions, newest first, and figures over those shown; 500 for a `limit` that is no number."""
    target = request.head.target
    text = query_parameter(target, "limit")
    limit = parse_int(DEFAULT_SCORES if text is None else text)
    project = query_parameter(target, "project")
    try:
        scores = await _context(request).reader.run(_scores, project, math.nan if limit == NOT_BOUND else limit)
    except DatabaseError:
        return UNCAUGHT
    figures = summary([score.score for score in scores])
    return json_reply({"scores": [as_object(score) for score in scores], "summary": figures})


async def show_latest_continuity(request: NativeRequest) -> Reply:
    """The last score of each project, newest first; 500 when they cannot be read."""
    try:
        scores = await _context(request).reader.run(lambda connection: queries.LATEST_SCORES.all(connection))
    except DatabaseError:
        return UNCAUGHT
    return json_reply({"scores": [as_object(score) for score in scores]})


def latencies(usage: Usage, told: Mapping[str, Any] | None) -> dict[str, Any]:
    """Requests as counted here, workers as legacy told last."""
    counted = {name: seen.snapshot() for name, seen in usage.latencies.items()}
    return {**counted, **{name: _told_latency((told or {}).get(name)) for name in WORKERS}}


def _told_latency(told: Any) -> Mapping[str, Any]:
    if not isinstance(told, Mapping) or not all(is_number(told.get(name)) for name in NOTHING):
        return NOTHING
    return {name: told[name] for name in NOTHING}


def _scores(connection: Connection, project: str | None, limit: float) -> list[queries.SessionScore]:
    if project:
        return queries.SCORES_OF_PROJECT.all(connection, project=project, limit=bindable(limit))
    return queries.SCORES.all(connection, limit=bindable(limit))


def _context(request: NativeRequest) -> Context:
    context: Context = request.context
    return context
