"""The five routes. `/api/status` is put together in `overview.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from native_routes.agent_yaml import AuthPolicy
from native_routes.declaration import NativeRequest
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import stringify
from native_routes.kept_state import kept
from native_routes.reply import Reply, json_reply
from native_routes.startup_config import startup_config
from native_routes.status.greeting import Greetings
from native_routes.status.overview import OverviewContext, overview

GREETING_TARGET: Final = b"/api/home/greeting"


class Context(OverviewContext, Protocol):
    def auth(self) -> AuthPolicy: ...


async def show_features(request: NativeRequest) -> Reply:
    """The flags as they were when the daemon started; {} when none is set."""
    context = _context(request)
    config = await startup_config(context.reader, context.home_path, context.environment)
    return json_reply(config.features)


async def show_caller(request: NativeRequest) -> Reply:
    """Who is calling by his token; `claims` is null in local mode, where tokens are not read."""
    claims = request.claims
    shown = None if claims is None else parse_json(stringify(claims.raw))  # parsed anew: keys in JavaScript's order
    return json_reply({"authenticated": claims is not None, "claims": shown, "mode": _context(request).auth().mode})


async def show_auth(request: NativeRequest) -> Reply:
    """Whether tokens are asked for, without one.

    Differs: Signet 0.58.1 has no such route, though its guide sends there who is refused.
    """
    return json_reply({"mode": _context(request).auth().mode, "authenticated": request.claims is not None})


async def show_status(request: NativeRequest) -> Reply:
    """Always 200. Differs: port, pid, host and times are the proxy's; what only legacy knows may be older than this."""
    return json_reply(await overview(_context(request)))


async def show_greeting(request: NativeRequest) -> Reply:
    """The greeting that legacy's model made in the last hour; while there is none, one by the hour of the day."""
    context = _context(request)
    told: Mapping[str, Any] | None = await context.borrow(GREETING_TARGET)
    return json_reply(kept(context.reader, Greetings).now(context.clock.now_ms(), told))


def _context(request: NativeRequest) -> Context:
    context: Context = request.context
    return context
