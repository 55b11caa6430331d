"""The pipeline's state, and the models it may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from native_routes.analytics.errors import told_summary
from native_routes.analytics.handlers import Counters, latencies
from native_routes.database import Connection, DatabaseError
from native_routes.declaration import NativeRequest
from native_routes.diagnostics import report as diagnostics
from native_routes.javascript.objects import METHODS, PROTOTYPE
from native_routes.kept_state import kept
from native_routes.pipeline import overview, registry
from native_routes.pipeline.discovery import UnusableModelError
from native_routes.pipeline.known_models import current
from native_routes.pipeline.registry import ModelRegistry
from native_routes.query_string import query_parameter
from native_routes.reply import UNCAUGHT, Reply, json_reply

NOT_LISTS: Final = METHODS | {PROTOTYPE}
"""What legacy finds under these names when it looks for a list of models makes it fail."""


class Walk(Protocol):
    """A walk that a recall of ours took through what is known about entities."""

    @property
    def at_ms(self) -> int: ...
    def status(self, connection: Connection) -> dict[str, Any]: ...


class Context(diagnostics.Context, registry.Context, Protocol):
    @property
    def counters(self) -> Counters: ...
    @property
    def last_walk(self) -> Walk | None: ...


async def show_status(request: NativeRequest) -> Reply:
    """Workers, queues, diagnostics, latencies and settings at once; 500 when the database cannot be read.

    What is legacy's own (its workers, their times, errors and feedback) is as it told last.
    """
    context: Context = request.context
    told = await context.borrow(b"/api/pipeline/status") or {}
    pipeline = (await context.config()).pipeline
    try:
        queues = await context.reader.run(overview.read_queues)
        report = await diagnostics.current_report(context)
        walk = await _last_walk(context, overview.told_traversal(told))
    except DatabaseError:
        return UNCAUGHT
    return json_reply(
        {
            "workers": overview.workers(told),
            "queues": queues,
            "diagnostics": report,
            "latency": latencies(context.counters.usage, told.get("latency")),
            "errorSummary": told_summary({"summary": told.get("errorSummary")}),
            "mode": overview.mode(pipeline),
            "feedback": overview.feedback(told),
            "traversal": {
                "enabled": pipeline["graph"]["enabled"] and pipeline["traversal"]["enabled"],
                "lastRun": walk,
            },
            "predictor": overview.predictor(report["predictor"]),
        }
    )


async def list_models(request: NativeRequest) -> Reply:
    """Models of one provider or of all, outdated ones only when `deprecated` is "true"."""
    models = await _registry(request)
    target = request.head.target
    provider = query_parameter(target, "provider")
    if provider in NOT_LISTS and not models.enabled:
        return UNCAUGHT
    found = models.of_provider(provider)
    shown = found if query_parameter(target, "deprecated") == "true" else current(found)
    return json_reply({"models": shown, "registry": models.status()})


async def list_models_by_provider(request: NativeRequest) -> Reply:
    """Each provider's models that are not outdated."""
    return json_reply((await _registry(request)).by_provider())


async def refresh_models(request: NativeRequest) -> Reply:
    """Ask the providers now; 429, with the lists as they are, when that was done less than a minute ago."""
    models = await _registry(request)
    context: Context = request.context
    if not models.may_refresh(context.clock.now_ms()):
        return json_reply({"models": models.by_provider(), "registry": models.status(), "throttled": True}, 429)
    try:
        await models.refresh(context)
    except UnusableModelError:
        return UNCAUGHT
    return json_reply({"models": models.by_provider(), "registry": models.status()})


async def _registry(request: NativeRequest) -> ModelRegistry:
    context: Context = request.context
    models = kept(context.reader, ModelRegistry)
    await models.open(context)
    return models


async def _last_walk(context: Context, told: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The later one of legacy's and ours. Raises DatabaseError."""
    walk = context.last_walk
    if walk is None or not overview.is_older(told, walk.at_ms):
        return told
    return await context.reader.run(walk.status)
