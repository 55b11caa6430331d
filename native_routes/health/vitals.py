"""What a health answer is made of, and who must be able to tell it. Nothing here waits for the legacy daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Vitals:
    """The values of `/health`. `legacy_state` is one word; the two update flags are the last that legacy told."""

    uptime_s: float
    pid: int
    version: str  # of the contract spoken, not of the proxy: clients compare it with Signet's releases
    port: int
    agents_dir: str
    db: bool
    update_available: bool
    pending_restart: bool
    proxy_version: str
    legacy_state: str


@dataclass(frozen=True, slots=True)
class Degradation:
    """One thing that is not as it should be. `reason_code` is stable, for programs; `effect` is for people."""

    component: str
    reason_code: str
    since: str  # ISO 8601, UTC, with milliseconds
    effect: str


class HealthContext(Protocol):
    """What the health handlers need of a request's context. No call may block."""

    def vitals(self) -> Vitals: ...

    def degraded(self) -> Sequence[Degradation]:
        """Worst first; empty when everything is as it should be."""
        ...

    def vectors_document(self) -> Mapping[str, Any] | None:
        """How vectors are searched and kept; None as long as nobody has searched."""
        ...
