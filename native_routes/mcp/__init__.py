"""The Model Context Protocol endpoint. Its tools call this same port as fresh requests without a token."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

TOOLS = "its tools call back without a token: in hybrid mode they may do what a local caller may, secrets exec included"

GROUP = RouteGroup(
    name="mcp",
    phase=5,
    routes=(
        Route("ALL", "/mcp", needs="remember", streams=True, stricter=TOOLS),
    ),
    remembers=frozenset({"hot_tools"}),
)  # fmt: skip
