"""Effective modes and their reasons: caps, sets, the file's hot reload, freezes that last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from native_routes.declaration import NativeRequest, Route, RouteGroup
from native_routes.reply import Refusal, Reply
from proxy.caps import sets_of
from proxy.cutover import Cutover, CutoverError, Facts, Mode
from proxy.journal import Journal
from proxy.legacy.status import LegacyState, LegacyStatus
from proxy.settings import Settings
from tests.proxy.legacy.running import until

PROVEN = Facts(legacy_state="ready", contract_version="0.58.1", schema_version=30, lock_proven=True)


async def answer(request: NativeRequest) -> Reply:
    return Reply(200)


def group(name: str, *, native: bool = True, remembers: str = "", writes: str = "") -> RouteGroup:
    routes = (Route("GET", f"/{name}", answer if native else None),)
    return RouteGroup(name, 2, routes, remembers=frozenset(remembers.split()), writes=frozenset(writes.split()))


GROUPS = (
    group("health"),
    group("recall"),
    group("sessions", remembers="claims"),
    group("hooks", remembers="claims dedupe"),
    group("counters", remembers="dedupe"),
    group("tasks", native=False),
    group("writer", writes="memories"),
    replace(group("list"), ships_native=True),
)


@dataclass
class Bench:
    """A home, its journal and what is known about legacy; `cutover()` makes one that is started."""

    home_path: Path
    journal: Journal
    facts: Facts = PROVEN
    started: list[Cutover] = field(default_factory=list)
    gap: str | None = None

    @property
    def file(self) -> Path:
        return self.home_path / ".daemon" / "cutover.yaml"

    def unstarted(self) -> Cutover:
        settings = Settings.from_env({"SIGNET_PATH": str(self.home_path)})
        return Cutover(GROUPS, settings, self.journal, lambda: self.facts, lambda group: self.gap)

    async def cutover(self, text: str | None = None) -> Cutover:
        if text is not None:
            self.file.write_text(text)
        cutover = self.unstarted()
        await cutover.start()
        self.started.append(cutover)
        return cutover

    async def restart(self, text: str | None = None) -> Cutover:
        for cutover in self.started:
            await cutover.stop()
        await self.journal.close()
        await self.journal.open()
        return await self.cutover(text)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / ".daemon").mkdir()
    bench = Bench(tmp_path, Journal(tmp_path / ".daemon" / "proxy.db"))
    await bench.journal.open()
    yield bench
    for cutover in bench.started:
        await cutover.stop()
    await bench.journal.close()


def reason(cutover: Cutover, name: str) -> str:
    return next(row.reason for row in cutover.explain() if row.group == name)


def problem(cutover: Cutover) -> str:
    return cutover.problem.text if cutover.problem else ""


async def test_a_group_that_ships_native_is_native_by_default_where_evidence_holds(bench: Bench) -> None:
    cutover = await bench.cutover()
    assert cutover.mode("list") is Mode.NATIVE
    assert reason(cutover, "list") == "native, the default"

    await cutover.set(["list"], Mode.LEGACY)
    assert (cutover.mode("list"), reason(cutover, "list")) == (Mode.LEGACY, "legacy, as asked")


async def test_without_evidence_nobody_is_shadowed_who_did_not_ask_for_it(bench: Bench) -> None:
    bench.gap = "no evidence"
    cutover = await bench.cutover()

    assert (cutover.mode("list"), reason(cutover, "list")) == (Mode.LEGACY, "legacy, the default")


async def test_health_is_native_and_what_does_not_ship_native_legacy_by_default(bench: Bench) -> None:
    cutover = await bench.cutover()

    assert {row.group for row in cutover.explain() if row.effective is Mode.NATIVE} == {"health", "list"}
    assert reason(cutover, "recall") == "legacy, the default"
    assert cutover.problem is None


async def test_a_proven_group_is_native_when_asked(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  recall: native\n")

    assert cutover.mode("recall") is Mode.NATIVE
    assert reason(cutover, "recall") == "native, as asked"


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (replace(PROVEN, contract_version=None, legacy_state="starting"), "has not told its version yet"),
        (replace(PROVEN, contract_version="0.59.0"), "legacy is version 0.59.0"),
        (replace(PROVEN, schema_version=31), "memories.db has schema 31"),
        (replace(PROVEN, schema_version=None), "is not known yet"),
        (replace(PROVEN, schema_version=None, database_problem="file is not a database"), "file is not a database"),
        (replace(PROVEN, lock_proven=False), "lock on memories.db cannot be seen"),
    ],
)
async def test_what_is_unproven_holds_every_group_but_health_at_legacy(bench: Bench, facts: Facts, cause: str) -> None:
    bench.facts = facts

    cutover = await bench.cutover("groups:\n  recall: native\n")

    assert cutover.mode("recall") is Mode.LEGACY
    assert reason(cutover, "recall").startswith("asked for native, held at legacy: ")
    assert cause in reason(cutover, "recall")
    assert cutover.mode("health") is Mode.NATIVE


async def test_missing_evidence_holds_at_shadow(bench: Bench) -> None:
    bench.gap = "no parity evidence is packaged"

    cutover = await bench.cutover("groups:\n  recall: native\n")

    assert cutover.mode("recall") is Mode.SHADOW
    assert reason(cutover, "recall") == "asked for native, held at shadow: no parity evidence is packaged"
    assert cutover.mode("health") is Mode.NATIVE


async def test_a_group_without_handlers_stays_with_legacy(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  tasks: native\n")

    assert reason(cutover, "tasks") == "asked for native, held at legacy: no native handlers yet (phase 2)"


async def test_a_change_of_facts_counts_at_the_next_refresh(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  recall: native\n")

    bench.facts = replace(PROVEN, lock_proven=False)
    cutover.refresh()

    assert cutover.mode("recall") is Mode.LEGACY
    assert {event["group"] for event in await bench.journal.recent("mode", 2)} == {"recall", "list"}


READY = LegacyStatus(
    LegacyState.READY, "signet", "127.0.0.1", 3851, since=0.0, version="0.58.1", schema_version=30, lock_visible=True
)


@pytest.mark.parametrize(
    ("status", "proven"),
    [
        (READY, True),
        (replace(READY, lock_visible=False), False),
        (replace(READY, state=LegacyState.BUSY, lock_visible=False), False),
        (replace(READY, state=LegacyState.STARTING, lock_visible=False), True),
        (replace(READY, state=LegacyState.DOWN, lock_visible=False), True),
        (replace(READY, state=LegacyState.STARTING, lock_visible=False, version=None, schema_version=None), False),
        (replace(READY, kind="attached"), True),
        (replace(READY, kind="attached", state=LegacyState.DOWN, lock_visible=False), False),
    ],
)
def test_what_was_proven_holds_between_two_runs_of_our_child_only(status: LegacyStatus, proven: bool) -> None:
    assert (Facts.of(status).unproven() == "") is proven


async def test_a_freeze_that_the_disk_does_not_take_is_still_in_force(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  recall: native\n")
    await bench.journal.close()

    await cutover.freeze(["recall"], "answers diverged")

    assert cutover.mode("recall") is Mode.LEGACY


def test_groups_that_remember_the_same_thing_are_one_set_also_through_a_third() -> None:
    sets = sets_of(GROUPS)

    assert sets["sessions"] == sets["counters"] == ("sessions", "hooks", "counters")
    assert sets["recall"] == ("recall",)


async def test_a_set_has_one_mode_the_lowest_that_is_asked_for(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  sessions: native\n  hooks: shadow\n  counters: native\n")

    assert {cutover.mode(name) for name in ("sessions", "hooks", "counters")} == {Mode.SHADOW}
    assert reason(cutover, "sessions") == "asked for native, but moves with hooks, for which shadow is asked"


async def test_set_moves_the_whole_set_and_tells_it(bench: Bench) -> None:
    cutover = await bench.cutover()

    moved = await cutover.set(["hooks"], Mode.NATIVE)

    assert [row.group for row in moved] == ["sessions", "hooks", "counters"]
    assert {row.effective for row in moved} == {Mode.NATIVE}
    assert "  counters: native\n" in bench.file.read_text()


async def test_an_unknown_group_is_refused_with_the_known_ones(bench: Bench) -> None:
    cutover = await bench.cutover()

    with pytest.raises(CutoverError, match=r"unknown group recal: expected some of health, recall"):
        await cutover.set(["recal"], Mode.NATIVE)


async def test_a_set_that_cannot_be_written_changes_nothing(bench: Bench) -> None:
    cutover = await bench.cutover()
    (bench.file.parent / "cutover.yaml.new").mkdir()

    with pytest.raises(CutoverError, match=r"cannot be written"):
        await cutover.set(["recall"], Mode.NATIVE)

    assert cutover.mode("recall") is Mode.LEGACY


async def test_an_edit_of_the_file_is_in_force_within_seconds(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  recall: native\n")

    bench.file.write_text("groups:\n  recall: legacy\n")

    await until(lambda: cutover.mode("recall") is Mode.LEGACY)


@pytest.mark.parametrize("broken", ["groups:\n  recall: [", "groups:\n  recal: native\n", ""])
async def test_a_broken_file_keeps_the_last_good_modes_and_says_so(bench: Bench, broken: str) -> None:
    cutover = await bench.cutover("groups:\n  recall: native\n")

    bench.file.write_text(broken)

    await until(lambda: cutover.problem is not None)
    assert cutover.mode("recall") is Mode.NATIVE
    assert "is not in force" in problem(cutover)
    assert len(await bench.journal.recent("cutover_file_bad", 9)) == 1


async def test_a_deleted_file_keeps_the_last_good_modes_and_says_so(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  recall: native\n")

    bench.file.unlink()

    await until(lambda: cutover.problem is not None)
    assert cutover.mode("recall") is Mode.NATIVE
    assert "is gone" in problem(cutover)


async def test_a_corrected_file_ends_the_problem(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  recall: [")
    assert cutover.problem is not None

    bench.file.write_text("groups:\n  recall: native\n")

    await until(lambda: cutover.problem is None)
    assert cutover.mode("recall") is Mode.NATIVE


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_text("groups: {x")])
async def test_the_last_good_modes_outlive_a_restart(bench: Bench, spoil: Callable[[Path], None]) -> None:
    await bench.cutover("groups:\n  recall: native\n")
    spoil(bench.file)

    cutover = await bench.restart()

    assert cutover.mode("recall") is Mode.NATIVE
    assert cutover.problem is not None


async def test_set_repairs_a_broken_file(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  recall: native\n")
    bench.file.write_text("groups:\n  recall: [")
    await until(lambda: cutover.problem is not None)

    await cutover.set(["writer"], Mode.NATIVE)

    assert cutover.problem is None
    assert {cutover.mode("recall"), cutover.mode("writer")} == {Mode.NATIVE}


async def test_a_freeze_moves_the_set_to_legacy_and_outlives_a_restart(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  sessions: native\n  hooks: native\n  counters: native\n")
    await cutover.freeze(["hooks"], "answers diverged")

    cutover = await bench.restart()

    assert {cutover.mode(name) for name in ("sessions", "hooks", "counters")} == {Mode.LEGACY}
    assert reason(cutover, "sessions") == "asked for native, held at legacy: frozen: answers diverged"


async def test_a_lift_gives_the_set_its_desired_mode_back_for_good(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  sessions: native\n  hooks: native\n  counters: native\n")
    await cutover.freeze(["hooks"], "answers diverged")

    await cutover.lift(["sessions"])
    assert cutover.mode("hooks") is Mode.NATIVE

    cutover = await bench.restart()
    assert cutover.mode("hooks") is Mode.NATIVE


async def test_a_freeze_counts_before_the_journal_has_it(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  recall: native\n")
    freezing = cutover.freeze(["recall"], "raised")

    freezing.send(None)  # to its first wait

    assert cutover.mode("recall") is Mode.LEGACY
    freezing.close()


async def test_health_is_never_frozen(bench: Bench) -> None:
    cutover = await bench.cutover()

    with pytest.raises(CutoverError, match=r"health is never frozen"):
        await cutover.freeze(["health"], "why not")


async def test_lifting_what_is_not_frozen_is_refused(bench: Bench) -> None:
    cutover = await bench.cutover()

    with pytest.raises(CutoverError, match=r"nothing to lift: recall is not frozen"):
        await cutover.lift(["recall"])


async def test_a_lift_that_cannot_be_kept_is_refused_and_the_freeze_stays(bench: Bench) -> None:
    cutover = await bench.cutover("groups:\n  recall: native\n")
    await cutover.freeze(["recall"], "diverged")
    await bench.journal.close()

    with pytest.raises(CutoverError, match=r"proxy\.db does not take the change"):
        await cutover.lift(["recall"])

    assert cutover.mode("recall") is Mode.LEGACY


async def test_unknown_freezes_hold_every_group_but_health_until_they_can_be_read(bench: Bench) -> None:
    await bench.journal.close()
    cutover = await bench.cutover("groups:\n  recall: native\n")
    assert "earlier freezes are not known" in reason(cutover, "recall")
    assert cutover.mode("health") is Mode.NATIVE

    await bench.journal.open()

    await until(lambda: cutover.mode("recall") is Mode.NATIVE)


async def test_a_damaged_journal_freezes_what_was_native(bench: Bench) -> None:
    await bench.journal.close()
    (bench.home_path / ".daemon" / "proxy.db").write_bytes(b"this is not a database file" * 400)
    await bench.journal.open()

    cutover = await bench.cutover("groups:\n  recall: native\n")

    assert "earlier freezes were lost" in reason(cutover, "recall")
    assert [freeze.group_name for freeze in cutover.frozen()] == ["recall", "list"]


async def test_before_the_freezes_are_read_only_health_answers(bench: Bench) -> None:
    cutover = bench.unstarted()

    assert {row.group for row in cutover.explain() if row.cap > Mode.LEGACY} == {"health"}


def override(cutover: Cutover, name: str, value: bytes | None, *, local: bool = True) -> bool:
    return cutover.answers_natively(next(g for g in GROUPS if g.name == name), value, local=local)


async def test_the_override_picks_either_side_of_a_read_group(bench: Bench) -> None:
    bench.gap = "no evidence"
    cutover = await bench.cutover()

    assert override(cutover, "recall", None) is False
    assert override(cutover, "recall", b"native") is True
    assert override(cutover, "recall", b"legacy") is False
    assert override(cutover, "health", b"legacy") is False


@pytest.mark.parametrize(
    ("name", "value", "local", "status", "error"),
    [
        ("recall", b"native", False, 403, "for callers on this machine only"),
        ("recall", b"shadow", True, 400, "expected legacy or native"),
        ("tasks", b"native", True, 409, "tasks cannot be answered natively: no native handlers yet"),
        ("hooks", b"native", True, 409, "hooks writes or remembers"),
        ("writer", b"native", True, 409, "writer writes or remembers"),
    ],
)
async def test_an_override_that_is_not_allowed_is_refused(
    bench: Bench, name: str, value: bytes, local: bool, status: int, error: str
) -> None:
    cutover = await bench.cutover()

    with pytest.raises(Refusal) as refused:
        override(cutover, name, value, local=local)

    assert refused.value.status == status
    assert error in refused.value.error


async def test_a_path_outside_every_group_is_legacys_whatever_is_asked(bench: Bench) -> None:
    cutover = await bench.cutover()

    assert cutover.answers_natively(None, b"native", local=True) is False
