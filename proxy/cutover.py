"""Which side answers each route group now, and why.

effective mode = min(desired mode, cap). Desired modes are the operator's (`desired_modes.py`), caps follow from facts
(`caps.py`), freezes are kept in the journal. All of it is worked out for whole sets of groups, never for one of a set.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from native_routes.declaration import RouteGroup
from proxy.caps import EXEMPT, Facts, cap_of, cap_of_set, sets_of
from proxy.desired_modes import DesiredModesError, DesiredModesFile, Loaded, Mode, Stamp
from proxy.evidence import EvidenceReader
from proxy.journal import Freeze, Journal
from proxy.override import forced_native
from proxy.settings import Settings

__all__ = ["Cutover", "CutoverError", "Facts", "GroupMode", "Mode", "Problem"]

POLL_S = 0.5  # a change counts when the file looked the same twice, so an editor's half-written file is not read
KEPT_STATE = "cutover"
log = structlog.get_logger("cutover")


class CutoverError(Exception):
    """What was asked for cannot be done; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class GroupMode:
    """One group as an operator sees it.

    `reason` says why the effective mode is what it is; `hold` why the cap is below native, "" when it is not;
    `moves_with` names the rest of its set.
    """

    group: str
    phase: int
    desired: Mode
    cap: Mode
    effective: Mode
    frozen: bool
    reason: str
    hold: str
    moves_with: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the file on disk is not what is in force. `since` is Unix time."""

    text: str
    since: float


class Cutover:
    """`mode()` may be asked for every request. Everything runs on the event loop; only the file is read in a thread.

    Until `start()` has read the freezes, only exempt groups answer natively.
    """

    def __init__(
        self,
        groups: Iterable[RouteGroup],
        settings: Settings,
        journal: Journal,
        facts: Callable[[], Facts],
        evidence: EvidenceReader,
    ) -> None:
        self._groups = {group.name: group for group in groups}
        self._sets = sets_of(self._groups.values())
        self._file = DesiredModesFile(settings.daemon_dir_path / "cutover.yaml", self._groups)
        self._journal = journal
        self._facts = facts
        self._evidence = evidence
        self._desired: Mapping[str, Mode] = {}
        self._freezes: dict[str, Freeze] = {}
        self._freezes_unknown = "the freezes kept in proxy.db are not read yet"  # "" = known
        self._table: dict[str, GroupMode] = {}
        self._modes: dict[str, Mode] = {}
        self.problem: Problem | None = None
        self._changing = asyncio.Lock()
        self._stop_polling = threading.Event()
        self._poller: threading.Thread | None = None
        self.refresh()

    def mode(self, group_name: str) -> Mode:
        return self._modes[group_name]

    def answers_natively(self, group: RouteGroup | None, override: bytes | None, *, local: bool) -> bool:
        """Whether a request is answered natively; `override` is its `x-signet-route`. Raises Refusal for a bad one.

        A path outside every group (None) is legacy's.
        """
        if group is None:
            return False
        if override is None:
            return self._modes[group.name] is Mode.NATIVE
        row = self._table[group.name]
        return forced_native(override, group, row.cap, row.effective, row.hold, local=local)

    def explain(self) -> list[GroupMode]:
        """Every group, in declaration order, as of now."""
        self.refresh()
        return list(self._table.values())

    def frozen(self) -> list[Freeze]:
        """Freezes in force; not those of an unreadable proxy.db, for which every group stays with legacy."""
        return list(self._freezes.values())

    def is_frozen(self, group_name: str) -> bool:
        return group_name in self._freezes

    def refresh(self) -> None:
        """Work out all modes again. The app calls this when the legacy daemon's status changes."""
        facts = self._facts()
        caps = {name: cap_of(group, facts, self._hold(name), self._evidence) for name, group in self._groups.items()}
        table = {}
        for name, members in self._sets.items():
            cap, hold = cap_of_set(name, members, caps)
            table[name] = self._explained(name, members, cap, hold)
        changed = [row for row in table.values() if self._modes.get(row.group, row.effective) != row.effective]
        self._table, self._modes = table, {name: row.effective for name, row in table.items()}
        for row in changed:
            log.info("mode changed", group=row.group, mode=row.effective.word, reason=row.reason)
            self._journal.record("mode", group=row.group, mode=row.effective.word, reason=row.reason)

    async def start(self) -> None:
        """Read freezes, the last good modes and the file, then follow the file. The journal was opened before."""
        await self._read_freezes()
        kept = await self._journal.kept(KEPT_STATE)
        self._desired = _from_kept(kept, self._groups)
        stamp = await asyncio.to_thread(self._file.stamp)
        self._take(await asyncio.to_thread(self._file.load), had_one=kept is not None)
        if self._journal.health.moved_aside is not None:
            await self._freeze_after_loss()
        self._poller = threading.Thread(target=self._follow, args=(asyncio.get_running_loop(), stamp), daemon=True)
        self._poller.start()

    async def stop(self) -> None:
        self._stop_polling.set()
        if self._poller is not None:
            await asyncio.to_thread(self._poller.join)

    async def set(self, groups: Collection[str], mode: Mode) -> list[GroupMode]:
        """Ask for `mode` for the groups and the rest of their sets; returns these. A cap may still hold them back."""
        names = self._whole_sets(groups)
        async with self._changing:
            changes = dict.fromkeys(names, mode)
            try:
                loaded = await asyncio.to_thread(self._file.change, self._desired, changes)
            except DesiredModesError as error:
                raise CutoverError(str(error)) from error
            self._take(loaded, had_one=True)
        self._journal.record("cutover_set", groups=names, mode=mode.word)
        return [self._table[name] for name in names]

    async def freeze(self, groups: Collection[str], reason: str) -> list[GroupMode]:
        """Put the groups and the rest of their sets back to legacy until lifted, also across restarts.

        In force before this first awaits, so that no further request is answered by the faulty side.
        """
        names = self._whole_sets(groups)
        if exempt := [name for name in names if name in EXEMPT]:
            raise CutoverError(f"{exempt[0]} is never frozen: it must answer when nothing else does")
        now = time.time()
        self._freezes = {name: Freeze(name, reason, now) for name in names} | self._freezes
        self.refresh()
        self._journal.record("freeze", groups=names, reason=reason)
        if not await self._journal.freeze(names, reason):
            log.error(
                "freeze is not kept",
                groups=names,
                effect="it ends with this process",
                error=self._journal.health.last_error,
            )
        return [self._table[name] for name in names]

    async def lift(self, groups: Collection[str]) -> list[GroupMode]:
        """End the freeze of the groups and the rest of their sets."""
        names = self._whole_sets(groups)
        frozen = [name for name in names if name in self._freezes]
        if not frozen:
            raise CutoverError(f"nothing to lift: {', '.join(names)} is not frozen")
        if not await self._journal.lift(names):
            raise CutoverError(
                f"proxy.db does not take the change: {self._journal.health.last_error}. Free disk space."
            )
        self._journal.record("lift", groups=names)
        for name in frozen:
            del self._freezes[name]
        self.refresh()
        return [self._table[name] for name in names]

    async def _read_freezes(self) -> None:
        freezes = await self._journal.freezes()
        if self._journal.health.is_open:
            self._freezes = {freeze.group_name: freeze for freeze in freezes} | self._freezes
            self._freezes_unknown = ""
        else:
            error = self._journal.health.last_error
            self._freezes_unknown = f"proxy.db cannot be opened, so earlier freezes are not known: {error}"
        self.refresh()

    async def _freeze_after_loss(self) -> None:
        """A damaged proxy.db was set aside and its freezes with it: what was asked for must be asked for again."""
        asked = [name for name in self._groups if self._wanted(name) > Mode.LEGACY and name not in EXEMPT]
        if asked:
            await self.freeze(asked, f"earlier freezes were lost with {self._journal.health.moved_aside}; lift if sure")

    def _hold(self, name: str) -> str:
        """Why the group must stay with legacy whatever the facts; "" when it need not."""
        freeze = self._freezes.get(name)
        return f"frozen: {freeze.reason}" if freeze else self._freezes_unknown

    def _whole_sets(self, groups: Collection[str]) -> list[str]:
        unknown = [name for name in groups if name not in self._groups]
        if unknown or not groups:
            known = ", ".join(self._groups)
            raise CutoverError(f"unknown group {', '.join(unknown) or '(none named)'}: expected some of {known}")
        wanted = {member for name in groups for member in self._sets[name]}
        return [name for name in self._groups if name in wanted]

    def _wanted(self, name: str) -> Mode:
        return self._desired[name] if name in self._desired else self._default(self._groups[name])

    def _default(self, group: RouteGroup) -> Mode:
        """Without evidence a group that ships native stays with legacy: nobody asked for it to be shadowed."""
        is_native = group.name in EXEMPT or (group.ships_native and self._evidence(group) is None)
        return Mode.NATIVE if is_native else Mode.LEGACY

    def _explained(self, name: str, members: tuple[str, ...], cap: Mode, hold: str) -> GroupMode:
        desired = self._wanted(name)
        lowest = min(members, key=self._wanted)
        effective = min(cap, self._wanted(lowest))
        if effective == desired:
            reason = f"{effective.word}, as asked" if name in self._desired else f"{effective.word}, the default"
            reason += f"; {hold}" if name in self._freezes else ""
        elif effective == cap:
            reason = f"asked for {desired.word}, held at {cap.word}: {hold}"
        else:
            reason = f"asked for {desired.word}, but moves with {lowest}, for which {effective.word} is asked"
        others = tuple(member for member in members if member != name)
        return GroupMode(
            name, self._groups[name].phase, desired, cap, effective, name in self._freezes, reason, hold, others
        )

    def _take(self, loaded: Loaded, *, had_one: bool) -> None:
        """Put a reading of the file in force, or keep the last good one and say so."""
        if loaded.write < self._file.writes:
            return  # overtaken by `set`
        if loaded.modes is not None:
            self._good(loaded.modes)
        elif loaded.problem is not None:
            self._bad(
                f"{self._file.path} is not in force: {loaded.problem}. Correct it; until then the last good one stands."
            )
        elif had_one or self._desired:
            self._bad(
                f"{self._file.path} is gone. The last good one stands; `signet-proxy cutover set` writes it again."
            )
        self.refresh()

    def _good(self, modes: Mapping[str, Mode]) -> None:
        if self.problem is not None:
            log.info("cutover file is in force again", path=str(self._file.path))
            self._journal.record("cutover_file_good")
        self.problem, self._desired = None, dict(modes)
        self._journal.keep(KEPT_STATE, {name: mode.word for name, mode in modes.items()})

    def _bad(self, text: str) -> None:
        if self.problem is not None and self.problem.text == text:
            return
        self.problem = Problem(text, time.time())
        log.warning("cutover file is not in force", problem=text)
        self._journal.record("cutover_file_bad", problem=text)

    def _follow(self, loop: asyncio.AbstractEventLoop, taken: Stamp) -> None:
        """Thread: hand every settled change of the file since the stamp `taken` to the loop."""
        before = taken
        while not self._stop_polling.wait(POLL_S) and not loop.is_closed():
            now = self._file.stamp()
            if now == before and now != taken:
                taken = now
                loop.call_soon_threadsafe(partial(self._take, self._file.load(), had_one=True))
            if self._freezes_unknown:
                asyncio.run_coroutine_threadsafe(self._read_freezes(), loop)
            before = now


def _from_kept(kept: object, known: Collection[str]) -> dict[str, Mode]:
    """The last good modes as the journal kept them, without groups that this version does not have."""
    if not isinstance(kept, dict):
        return {}
    return {name: Mode.of(word) for name, word in kept.items() if name in known}
