"""The parts of the running proxy that answer questions about it, gathered for handlers and for `/_proxy/`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from native_routes import contract
from native_routes.agent_yaml import AuthPolicy
from native_routes.database import Reader
from native_routes.health.vitals import Degradation, Vitals
from native_routes.outside import Clock, SystemClock
from proxy import __version__, readiness
from proxy.counters import Counters
from proxy.cutover import Cutover
from proxy.journal import Journal
from proxy.legacy.status import Legacy, LegacyState, LegacyStatus
from proxy.settings import Settings

LOSS_SHOWN_S = 600.0  # a disk that was full once does not keep the proxy degraded for ever
ALIVE = frozenset({LegacyState.READY, LegacyState.BUSY, LegacyState.WEDGED})


@dataclass(slots=True, kw_only=True)
class Services:
    """One for the whole process; also the context of native requests. `auth` returns the policy now in force."""

    settings: Settings
    legacy: Legacy
    cutover: Cutover
    journal: Journal
    auth: Callable[[], AuthPolicy]
    reader: Reader  # of memories.db; asked only where the caps allow a native answer, so never before the anchor holds
    clock: Clock = field(default_factory=SystemClock)
    counters: Counters = field(default_factory=Counters)
    listening: tuple[str, ...] = ()  # "127.0.0.1:3850", as bound
    started_at: float = field(default_factory=time.time)  # Unix time
    _started_monotonic_s: float = field(default_factory=time.monotonic)
    _lost_seen: tuple[int, float] = (0, 0.0)  # journal records lost, and when that number last rose
    _first_seen: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self._started_monotonic_s

    def vitals(self) -> Vitals:
        status = self.legacy.status
        return Vitals(
            uptime_s=self.uptime_s,
            pid=os.getpid(),
            version=status.version or contract.VERSION,
            port=self.settings.port,
            agents_dir=self._agents_dir(status),
            db=_database_answers(status),
            update_available=status.update_available,
            pending_restart=status.pending_restart,
            proxy_version=__version__,
            legacy_state=status.state.value,
        )

    def degraded(self) -> list[Degradation]:
        """What is not as it should be, worst first. What has no date of its own counts from when this first saw it."""
        now, journal = time.time(), self.journal.health
        if journal.lost != self._lost_seen[0]:
            self._lost_seen = journal.lost, now
        losing = journal.lost > 0 and now - self._lost_seen[1] < LOSS_SHOWN_S
        findings = list(readiness.findings(self.legacy.status, self.cutover, journal, self.auth(), losing=losing))
        self._first_seen = {finding.key: self._first_seen.get(finding.key, now) for finding in findings}
        return [finding.told(self._first_seen[finding.key]) for finding in findings]

    def _agents_dir(self, status: LegacyStatus) -> str:
        own = str(self.settings.home_path)
        return status.agents_dir or own if status.kind == "attached" else own


def _database_answers(status: LegacyStatus) -> bool:
    """A daemon gets ready only when it says that its database is open; without one, our own connection has read it."""
    return status.state in ALIVE or (status.schema_version is not None and status.database_problem is None)
