"""The parts of the running proxy that answer questions about it, gathered for handlers and for `/_proxy/`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from native_routes import contract
from native_routes.agent_yaml import AuthPolicy
from native_routes.health.vitals import Degradation, Vitals
from native_routes.outside import BORROW_WITHIN_S, Clock, SystemClock
from native_routes.reader import Reader
from native_routes.writer import Writer
from proxy import __version__, readiness
from proxy.borrow import Borrower
from proxy.comparisons import Tally
from proxy.counters import Counters
from proxy.cutover import Cutover
from proxy.journal import Journal
from proxy.legacy.status import Legacy, LegacyState, LegacyStatus
from proxy.legacy_events import LegacyEvents
from proxy.settings import Settings, process_environment

# Imported when they are asked for: the proxy starts without them, and numpy takes 20 MB of one that only forwards.
if TYPE_CHECKING:
    from native_routes.daemon_log import DaemonLog
    from native_routes.memory_config import MemoryConfig, MemoryConfigFile
    from native_routes.recall.search import Searcher
    from native_routes.recall.traversal import Walk
    from native_routes.searching.embedders import Embedder
    from native_routes.searching.vectors import VectorSearch
    from native_routes.secrets.running import Limits
    from proxy.memory_search import MemorySearch

log = structlog.get_logger(__name__)

SHOWN_S = 600.0  # a disk that was full once does not keep the proxy degraded for ever
ALIVE = frozenset({LegacyState.READY, LegacyState.BUSY, LegacyState.WEDGED})


@dataclass(slots=True)
class Rising:
    """A number that only rises, and when it was last seen to."""

    number: int = 0
    at: float = 0.0  # Unix time

    def rose_lately(self, number: int, now: float) -> bool:
        if number != self.number:
            self.number, self.at = number, now
        return number > 0 and now - self.at < SHOWN_S


@dataclass(slots=True, kw_only=True)
class Services:
    """One for the whole process; also the context of native requests. `auth` returns the policy now in force."""

    settings: Settings
    legacy: Legacy
    cutover: Cutover
    journal: Journal
    auth: Callable[[], AuthPolicy]
    reader: Reader  # of memories.db; asked only where the caps allow a native answer, so never before the anchor holds
    writer: Writer
    borrower: Borrower
    events: LegacyEvents
    clock: Clock = field(default_factory=SystemClock)
    environment: Mapping[str, str] = field(default_factory=process_environment)
    secrets_lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # of .secrets/secrets.enc, for whoever writes it
    backup_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    counters: Counters = field(default_factory=Counters)
    tally: Tally = field(default_factory=Tally)  # of native answers: compared with legacy's, and gone wrong
    listening: tuple[str, ...] = ()  # "127.0.0.1:3850", as bound
    started_at: float = field(default_factory=time.time)  # Unix time
    _started_monotonic_s: float = field(default_factory=time.monotonic)
    _journal_losses: Rising = field(default_factory=Rising)
    _failed_steps: Rising = field(default_factory=Rising)
    _first_seen: dict[tuple[str, str], float] = field(default_factory=dict)
    _config_file: MemoryConfigFile | None = None
    _daemon_log: DaemonLog | None = None
    _memory_search: MemorySearch | None = None

    @property
    def legacy_events(self) -> Callable[[bytes], AsyncGenerator[bytes, None]]:
        return self.events.follow

    async def borrow(self, target: bytes, within_s: float = BORROW_WITHIN_S) -> Mapping[str, Any] | None:
        """See `Borrower.borrow`."""
        return await self.borrower.borrow(target, within_s)

    @property
    def home_path(self) -> Path:
        return self.settings.home_path

    @property
    def logs_path(self) -> Path:
        return self.settings.logs_path

    @property
    def daemon_log(self) -> DaemonLog:
        if self._daemon_log is None:
            from native_routes.daemon_log import DaemonLog

            self._daemon_log = DaemonLog(self.logs_path, self.clock)
        return self._daemon_log

    @property
    def config(self) -> Callable[[], Awaitable[MemoryConfig]]:
        """Reads the agent's configuration as it is now."""
        if self._config_file is None:
            from native_routes.memory_config import MemoryConfigFile

            self._config_file = MemoryConfigFile(self.home_path)
        return self._config_file.read

    async def read_startup_config(self) -> None:
        """Take over what counts from a daemon's start on, as configured now."""
        read_at_start = await asyncio.to_thread(_start_reader)
        await read_at_start(self.reader, self.home_path, self.environment, self.legacy.status.pid)

    @property
    def embedder(self) -> Embedder:
        return self._searching().embedder

    @property
    def vectors(self) -> VectorSearch:
        return self._searching().vectors

    @property
    def searcher(self) -> Searcher:
        return self._searching().searcher

    @property
    def last_walk(self) -> Walk | None:
        """Through what is known about entities, by the last recall that took one. Imports nothing."""
        return None if self._memory_search is None else self._memory_search.searcher.last_walk

    def embedder_document(self) -> dict[str, Any] | None:
        """See `MemorySearch.embedder_document`; None as long as nothing was searched by meaning. Imports nothing."""
        return None if self._memory_search is None else self._memory_search.embedder_document()

    def vectors_document(self) -> dict[str, Any] | None:
        """See `MemorySearch.vectors_document`; None as long as nothing was searched. Imports nothing."""
        return None if self._memory_search is None else self._memory_search.vectors_document()

    def _searching(self) -> MemorySearch:
        if self._memory_search is None:
            from proxy.memory_search import MemorySearch

            self._memory_search = MemorySearch(self.settings, self.environment, self._legacy_embeds, self.daemon_log)
        return self._memory_search

    def _legacy_embeds(self) -> bool:
        return self.legacy.accepts() and self.legacy.status.kind != "stand-in"

    @property
    def command_limits(self) -> Limits:
        from native_routes.secrets.running import Limits

        return Limits(self.settings.exec_timeout_s, self.settings.exec_output_limit_bytes)

    async def close(self) -> None:
        """Close every connection to the database; what is pending is written before. Idempotent.

        Does not raise: legacy has still to be stopped, whatever goes wrong here.
        """
        search, self._memory_search = self._memory_search, None
        for part in (self.borrower, search, self.writer, self._daemon_log, self.reader):
            try:
                if part is not None:
                    await part.close()
            except Exception:
                log.exception("not_closed", part=type(part).__name__)

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
        findings = list(
            readiness.findings(
                self.legacy.status,
                self.cutover,
                journal,
                self.auth(),
                losing=self._journal_losses.rose_lately(journal.lost, now),
                searching=self._searching_now(now),
                log_problem=None if self._daemon_log is None else self._daemon_log.problem,
            )
        )
        self._first_seen = {finding.key: self._first_seen.get(finding.key, now) for finding in findings}
        return [finding.told(self._first_seen[finding.key]) for finding in findings]

    def _searching_now(self, now: float) -> readiness.Searching | None:
        search = self._memory_search
        if search is None:
            return None
        steps = search.searcher.failed_steps.total()
        failed = search.searcher.last_failure if self._failed_steps.rose_lately(steps, now) else None
        return readiness.Searching(search.vectors.status, search.embedder.status, search.tracker.problem, failed)

    def _agents_dir(self, status: LegacyStatus) -> str:
        own = str(self.settings.home_path)
        return status.agents_dir or own if status.kind == "attached" else own


def _start_reader() -> Callable[..., Awaitable[object]]:
    from native_routes.startup_config import read_at_start

    return read_at_start


def _database_answers(status: LegacyStatus) -> bool:
    """A daemon gets ready only when it says that its database is open; without one, our own connection has read it."""
    return status.state in ALIVE or (status.schema_version is not None and status.database_problem is None)
