"""What the daemon is and can do: status, feature flags, who is calling, greeting. Nothing is written."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="status",
    phase=2,
    routes=(
        # needs=None: any valid token may see these, as legacy allows; a client asks them before it knows its role.
        Route("GET", "/api/features"),
        Route("GET", "/api/auth/whoami"),
        Route("GET", "/api/status"),
        Route("GET", "/api/home/greeting"),
    ),
    borrows=frozenset({"update_state", "session_claims", "embedding_tracker"}),
)  # fmt: skip
