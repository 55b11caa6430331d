"""What mode shadow must not take for a fault, because the two sides are meant to differ: docs/differences.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NOT_COMPARED: Final[Mapping[str, str]] = {
    "GET /api/analytics/usage": "each side counts the requests that it saw",
    "GET /api/analytics/latency": "each side measures the requests that it saw",
    "GET /api/memory/search": "legacy takes it for the memory 'search'",
}
"""Route -> why no answer of it says anything."""

BY_DESIGN: Final[Mapping[str, frozenset[str]]] = {
    "GET /api/status": frozenset({"body.startedAt"}),  # of the process that answers
}
"""Route -> places at which answers differ while all else must be equal."""
