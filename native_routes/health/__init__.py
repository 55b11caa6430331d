"""Whether the daemon lives. Answered natively in every mode: a client must learn the truth when legacy is down."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.health import handlers as h

GROUP = RouteGroup(
    name="health",
    phase=1,
    routes=(
        # needs=None and public: monitors and service managers have no token.
        Route("GET", "/health",       h.health, public=True),
        Route("GET", "/health/live",  h.live,   public=True, ours=True),
        Route("GET", "/health/ready", h.ready,  public=True, ours=True),
    ),
    borrows=frozenset({"update_state"}),
)  # fmt: skip
