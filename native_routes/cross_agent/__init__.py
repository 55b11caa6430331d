"""Who is at work now, and what agents tell one another. Nothing here outlives the process."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="cross_agent",
    phase=5,
    routes=(
        Route("GET",    "/api/cross-agent/presence",             needs="recall"),
        Route("POST",   "/api/cross-agent/presence",             needs="remember"),
        Route("DELETE", "/api/cross-agent/presence/:sessionKey", needs="remember"),
        Route("GET",    "/api/cross-agent/messages",             needs="recall"),
        Route("POST",   "/api/cross-agent/messages",             needs="remember", limit="cross-agent-message"),
        Route("GET",    "/api/cross-agent/stream",               needs="recall", streams=True),
    ),
    remembers=frozenset({"presence", "messages", "message_streams"}),
)  # fmt: skip
