"""What the daemon is and can do: status, feature flags, who is calling, greeting. Nothing is written."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup
from native_routes.diagnostics import TABLES
from native_routes.lazily import Handlers

h = Handlers("native_routes.status.handlers")

GROUP = RouteGroup(
    name="status",
    phase=2,
    ships_native=True,
    routes=(
        # needs=None: any valid token may see these, as legacy allows; a client asks them before it knows its role.
        Route("GET", "/api/features",      h.show_features),
        Route("GET", "/api/auth/whoami",   h.show_caller),
        # public: whoever is refused for want of a token asks here why. Signet's self-hosting guide promises it.
        Route("GET", "/api/auth/status",   h.show_auth, public=True, ours=True),
        Route("GET", "/api/status",        h.show_status),
        Route("GET", "/api/home/greeting", h.show_greeting),
    ),
    borrows=frozenset(
        {"update_state", "session_claims", "embedding_tracker", "model_providers", "greeting", "predictor_process"}
    ),
    reads=TABLES,
)  # fmt: skip
