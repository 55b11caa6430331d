"""What the stand-in `legacy_ts/` serves. It never grows, so a route that it lacks says nothing of Signet."""

from __future__ import annotations

from typing import Final

from native_routes.declaration import Route
from proxy.legacy.status import LegacyStatus

ROUTES: Final = frozenset(
    """
    GET /health
    GET /api/status
    GET /api/features
    GET /api/auth/whoami
    POST /api/auth/token
    GET /api/logs
    GET /api/logs/stream
    GET /api/config
    POST /api/config
    GET /api/identity
    GET /api/memories
    GET /api/memory/:id
    GET /api/memory/:id/history
    DELETE /api/memory/:id
    POST /api/memory/remember
    POST /api/memory/save
    POST /api/hook/remember
    POST /api/memory/recall
    GET /memory/search
    GET /memory/similar
    """.strip().split("\n    ")
)


def is_served(route: Route, status: LegacyStatus) -> bool:
    """Whether the daemon that runs has this route: Signet has all that are not ours."""
    if status.kind == "stand-in":
        return f"{route.method} {route.path}" in ROUTES
    return not route.ours
