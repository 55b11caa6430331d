"""Unix times as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_utc(unix_s: float) -> str:
    """ISO 8601 in UTC with milliseconds: 2026-01-31T09:30:00.000Z, as the legacy daemon writes times."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
