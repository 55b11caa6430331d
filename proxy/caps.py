"""How far a route group may go towards native, and why. Pure: facts in, a mode and a sentence out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from native_routes import contract
from native_routes.declaration import RouteGroup
from proxy.desired_modes import Mode
from proxy.evidence import EvidenceReader
from proxy.legacy.status import LegacyState, LegacyStatus

PROVEN_SCHEMA_VERSIONS = frozenset({contract.SCHEMA_VERSION})
EXEMPT = frozenset({"health"})
"""Groups that must answer when nothing else does: they need handlers only, and are never frozen."""

Verdict = tuple[Mode, str]
"""A cap and its reason, a clause that completes "held at legacy: ..."; "" when nothing holds the group."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the legacy daemon now. None means not known yet; while it restarts the last values stand."""

    legacy_state: str  # a LegacyState value
    contract_version: str | None
    schema_version: int | None
    lock_proven: bool  # while it runs, its lock on memories.db is seen, so that a second process may use the file
    database_problem: str | None = None  # why the schema version could not be read

    @classmethod
    def of(cls, status: LegacyStatus) -> Facts:
        """Between two runs of our own child there is no lock to see, and our connection, open from before, guards the
        WAL alone: what was proven goes on being answered. Of somebody else's daemon we never know that it is gone.
        """
        between = status.kind != "attached" and status.state in {LegacyState.STARTING, LegacyState.DOWN}
        lock_proven = status.lock_visible or between
        return cls(status.state, status.version, status.schema_version, lock_proven, status.database_problem)

    def unproven(self) -> str:
        """What forbids native answers for every group that reads the database; "" when nothing does."""
        if self.contract_version is None:
            return f"the legacy daemon has not told its version yet (it is {self.legacy_state})"
        if self.contract_version != contract.VERSION:
            return f"legacy is version {self.contract_version}; native answers are proven on {contract.VERSION} only"
        if self.schema_version is None:
            return self.database_problem or "the schema version of memories.db is not known yet"
        if self.schema_version not in PROVEN_SCHEMA_VERSIONS:
            proven = ", ".join(map(str, sorted(PROVEN_SCHEMA_VERSIONS)))
            return f"memories.db has schema {self.schema_version}; native answers are proven on {proven} only"
        if not self.lock_proven:
            return "legacy's lock on memories.db cannot be seen, so opening the file beside it could lose commits"
        return ""


def sets_of(groups: Iterable[RouteGroup]) -> Mapping[str, tuple[str, ...]]:
    """Group name -> all groups of its set, itself included, in declaration order.

    Groups that remember the same thing share a set, also through a third one: they change sides together.
    """
    groups = tuple(groups)
    parent = {group.name: group.name for group in groups}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    first_with: dict[str, str] = {}
    for group in groups:
        for thing in sorted(group.remembers):
            parent[root(group.name)] = root(first_with.setdefault(thing, group.name))
    members: dict[str, list[str]] = {}
    for group in groups:
        members.setdefault(root(group.name), []).append(group.name)
    return {group.name: tuple(members[root(group.name)]) for group in groups}


def cap_of(group: RouteGroup, facts: Facts, hold: str, evidence: EvidenceReader) -> Verdict:
    """The group's own cap, its set left aside. `hold`: why it must stay with legacy, such as a freeze; "" = nothing."""
    missing = sum(route.handler is None for route in group.routes)
    if missing:
        return Mode.LEGACY, hold or _unanswered(group, missing)
    if group.name in EXEMPT:
        return Mode.NATIVE, ""
    if hold or (hold := facts.unproven()):
        return Mode.LEGACY, hold
    gap = evidence(group)
    return (Mode.SHADOW, gap) if gap else (Mode.NATIVE, "")


def cap_of_set(name: str, members: Collection[str], caps: Mapping[str, Verdict]) -> Verdict:
    """The lowest cap of the set, as seen from the group `name`; its own reason comes first when it is as low."""
    lowest = min(caps[member][0] for member in members)
    if caps[name][0] == lowest:
        return caps[name]
    holder = next(member for member in members if caps[member][0] == lowest)
    return lowest, f"moves with {holder}, and {holder}: {caps[holder][1]}"


def _unanswered(group: RouteGroup, missing: int) -> str:
    if missing == len(group.routes):
        return f"no native handlers yet (phase {group.phase})"
    return f"{missing} of its {len(group.routes)} routes have no native handler yet"
