"""What keeps the front door from being as good as it should be: the list behind `/health/ready`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from native_routes.agent_yaml import AuthPolicy
from native_routes.health.vitals import Degradation
from proxy.caps import EXEMPT
from proxy.cutover import Cutover
from proxy.desired_modes import Mode
from proxy.journal import JournalHealth
from proxy.legacy import processes
from proxy.legacy.status import LegacyState, LegacyStatus
from proxy.timestamps import iso_utc

if TYPE_CHECKING:
    from native_routes.searching.embedders import EmbedderStatus
    from native_routes.searching.vectors import VectorStatus

EFFECTS = {
    LegacyState.STARTING: "forwarded requests wait up to 5 s, then get 503",
    LegacyState.BUSY: "forwarded requests are slow",
    LegacyState.WEDGED: "forwarded requests get no answer; the daemon is restarted when the grace time is over",
    LegacyState.DOWN: "forwarded requests get 503",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`since` is Unix time; None when only the finding is known, not when it began."""

    component: str
    reason_code: str
    effect: str
    since: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.component, self.reason_code

    def told(self, first_seen: float) -> Degradation:
        since = first_seen if self.since is None else self.since
        return Degradation(self.component, self.reason_code, iso_utc(since), self.effect)


@dataclass(frozen=True, slots=True)
class Searching:
    """What native searches say of themselves. `failed`: of late, a step of a search was left out; why."""

    vectors: VectorStatus
    embedder: EmbedderStatus
    accesses_problem: str | None
    failed: str | None


def findings(
    status: LegacyStatus,
    cutover: Cutover,
    journal: JournalHealth,
    auth: AuthPolicy,
    *,
    losing: bool,
    searching: Searching | None = None,
    log_problem: str | None = None,
) -> Iterator[Finding]:
    """Worst first; none when everything is as it should be. Asks nobody and waits for nothing.

    `losing`: journal records were lost of late. `searching` is None while no native search was asked for.
    """
    yield from _legacy(status)
    yield from _database(status, cutover)
    yield from _agent_yaml(auth)
    yield from _cutover(cutover)
    if searching is not None:
        yield from _searching(searching)
    yield from _journal(journal, losing=losing)
    if log_problem is not None:
        yield Finding("log", "log_not_written", f"entries of native answers wait for the disk: {log_problem}")


def _searching(search: Searching) -> Iterator[Finding]:
    """States are compared by their words: their classes come with numpy, which not every proxy needs."""
    mode, embedder = search.vectors.mode.value, search.embedder
    if mode == "off":
        yield Finding("recall", "vectors_off", f"only words are searched: {search.vectors.reason}")
    elif mode == "sqlite":
        yield Finding("recall", "vectors_slow", f"vectors are searched by sqlite-vec, slowly: {search.vectors.reason}")
    if embedder.state.value == "cooling":
        effect = f"only words are searched, and new memories get no vector: {embedder.problem}"
        yield Finding("embedder", "embedder_failing", effect)
    if search.accesses_problem is not None:
        yield Finding("recall", "accesses_waiting", f"uses of memories are not counted yet: {search.accesses_problem}")
    if search.failed is not None:
        yield Finding("recall", "search_step_failed", f"searches went on without a step: {search.failed}")


def _legacy(status: LegacyStatus) -> Iterator[Finding]:
    if status.state is not LegacyState.READY:
        reason = f" ({status.reason})" if status.reason else ""
        yield Finding("legacy", f"legacy_{status.state.value}", EFFECTS[status.state] + reason, status.since)


def _database(status: LegacyStatus, cutover: Cutover) -> Iterator[Finding]:
    if status.database_problem:
        yield Finding("database", "database_unreadable", f"{status.database_problem}; every group stays with legacy")
    elif status.state is LegacyState.READY and not status.lock_visible and _lock_matters(status, cutover):
        yield Finding("database", "lock_unproven", "legacy's lock on memories.db is not seen; groups stay with legacy")


def _lock_matters(status: LegacyStatus, cutover: Cutover) -> bool:
    """Not where it can never be seen and nobody asked for more than forwarding: that is how attached proxies live."""
    can_be_seen = processes.ON_LINUX and status.kind != "attached"
    return can_be_seen or any(row.desired > Mode.LEGACY for row in cutover.explain() if row.group not in EXEMPT)


def _agent_yaml(auth: AuthPolicy) -> Iterator[Finding]:
    if auth.problem:
        yield Finding("auth", "agent_yaml_problem", auth.problem)


def _cutover(cutover: Cutover) -> Iterator[Finding]:
    if cutover.problem:
        yield Finding("cutover", "file_not_in_force", cutover.problem.text, cutover.problem.since)
    for freeze in cutover.frozen():
        effect = f"answered by legacy until lifted: {freeze.reason}"
        yield Finding(f"group {freeze.group_name}", "frozen", effect, freeze.frozen_at)


def _journal(health: JournalHealth, *, losing: bool) -> Iterator[Finding]:
    if not health.is_open:
        effect = f"no freeze or death is kept, and groups stay with legacy: {health.last_error}"
        yield Finding("journal", "journal_closed", effect)
    elif losing:
        yield Finding("journal", "records_lost", f"{health.lost} records were not kept: {health.last_error}")
    if health.moved_aside is not None:
        yield Finding("journal", "damaged", f"a damaged proxy.db was set aside as {health.moved_aside}")
