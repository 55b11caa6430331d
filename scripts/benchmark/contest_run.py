"""One contest on one size of home: both sides started, compared, loaded in turn, compared again."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from scripts.benchmark import questions
from scripts.benchmark.agreement import disagreements
from scripts.benchmark.contest_rows import load_rows, memory_rows
from scripts.benchmark.contests import Contest, LoadKind
from scripts.benchmark.duel import Beside, Pace, in_turns, wait_until_quiet
from scripts.benchmark.generator import Request, ask
from scripts.benchmark.homes.build import HomeSpec, put_into
from scripts.benchmark.other_writer import writing
from scripts.benchmark.remembering import remembering
from scripts.benchmark.rows import MeasurementError, Row
from scripts.benchmark.running import get, pss_mb
from scripts.benchmark.sides import Side, copy_database, embedder, legacy_side, native_side, place
from scripts.benchmark.stalls import NO_STALL_MS, gaps_under, stall_row
from scripts.benchmark.targets import Daemon

SHOWN = 3  # disagreements, of however many there are


@dataclass(frozen=True, slots=True)
class ContestRun:
    """`say` hears what is being measured; `sample` requests are compared before the load, and as many after it."""

    contest: Contest
    spec: HomeSpec
    daemon: Daemon
    pace: Pace
    sample: int
    say: Callable[[str], None]
    cache_path: Path | None = None
    native: Mapping[str, str] = field(default_factory=dict)  # settings of the native side

    @property
    def _title(self) -> str:
        return f"{self.contest.name}, {self.spec.memories:,}{' plain' if self.spec.plain else ''} memories"

    def rows(self) -> list[Row]:
        """Every row of this size; a side that cannot be measured makes a row that is missing."""
        self.say(f"{self._title}: home")
        try:
            with tempfile.TemporaryDirectory(prefix="signet-bench-") as name:
                return self._measured(Path(name))
        except (MeasurementError, OSError) as error:
            return [Row(self._title, "", None, missing=str(error))]

    def _measured(self, folder: Path) -> list[Row]:
        with embedder(self.spec.seed, folder) as vectors, contextlib.ExitStack() as running:
            legacy_place, native_place = (place(folder / name, vectors.port) for name in ("legacy", "native"))
            for where in (legacy_place, native_place):
                put_into(self.spec, where.home_path, self.cache_path)
            legacy = running.enter_context(legacy_side(self.daemon, legacy_place))
            try:
                native = running.enter_context(native_side(self.contest.group, native_place, self.native))
            except MeasurementError as error:
                return [*self._loads([legacy], {}), Row(f"{self._title}: native", "", None, missing=str(error))]
            fresh_mb = {side.name: pss_mb(side.pid) for side in (legacy, native)}
            problems = self._compared(legacy, native, "before")
            rows = self._loads([legacy, native], fresh_mb)
            problems += self._after(native, folder, vectors.port)
        return [self._agreement(problems), *(replace(row, void="answers differ" if problems else "") for row in rows)]

    def _loads(self, sides: list[Side], fresh_mb: dict[str, float]) -> list[Row]:
        rows = [row for load in self.contest.loads for row in self._load(load, sides)]
        return [*rows, *memory_rows(self._title, sides, fresh_mb), *self._stalls(sides)]

    def _load(self, load: LoadKind, sides: list[Side]) -> list[Row]:
        self.say(f"{self._title}: {load.name}")
        try:
            begun = {side.name: _counts(side) for side in sides if self.contest.writes}
            turns = in_turns(
                sides, load.ask(self.spec, load.name), load.clients, self.pace, load.most, self._beside(load)
            )
            for side in sides if self.contest.writes else ():
                _check_written(side, begun[side.name], load.adds)
        except MeasurementError as error:
            return [Row(f"{self._title}, {load.name}", "", None, missing=str(error))]
        return load_rows(self._title, load, turns, self.daemon, self.spec.memories)

    def _beside(self, load: LoadKind) -> Beside:
        if load.written_per_s:
            return lambda side: writing(side, self.spec.seed, load.written_per_s)
        if load.remembered_per_s:
            texts = questions.remembers(self.spec, load.name)  # each turn goes on where the last one ended
            return lambda side: remembering(side, texts, load.remembered_per_s, self.pace.seconds)
        return lambda _: contextlib.nullcontext()

    def _stalls(self, sides: list[Side]) -> list[Row]:
        """Of native only: one recall keeps legacy's loop busy to its end."""
        self.say(f"{self._title}: event loop")
        main = self.contest.main
        batch = list(islice(main.ask(self.spec, "stalls"), 20_000))
        rows = []
        for side in sides:
            if side.served_by:
                wait_until_quiet(side.pid)
                load = partial(ask, side.port, batch, clients=main.clients, seconds=2 * self.pace.seconds)
                work = f"{self._title}: longest gap of the event loop"
                rows.append(stall_row(work, gaps_under(load, side.port), NO_STALL_MS))
        return rows

    def _compared(self, legacy: Side, native: Side, when: str) -> list[str]:
        self.say(f"{self._title}: answers compared {when}")
        return disagreements((legacy.port, native.port), self._samples(when), self.contest.new)

    def _samples(self, when: str) -> list[Request]:
        loads = {load.ask: load for load in self.contest.loads} if self.contest.compares_all else {0: self.contest.main}
        return [request for load in loads.values() for request in self._sample(load, when)]

    def _sample(self, load: LoadKind, when: str) -> list[Request]:
        return list(islice(load.ask(self.spec, f"sample {when}"), self.sample))

    def _after(self, native: Side, folder: Path, embedder_port: int) -> list[str]:
        """A fresh legacy on what native has written, against native as it has been running: accesses differ between
        the sides by now, as the faster one was asked more often.
        """
        where = place(folder / "after", embedder_port)
        copy_database(native, where.home_path)
        with legacy_side(self.daemon, where) as legacy:
            return self._compared(legacy, native, "after")

    def _agreement(self, problems: list[str]) -> Row:
        work, asked = f"{self._title}: answers that differ", len(self._samples("before")) + len(self._samples("after"))
        if not problems:
            return Row(work, f"of {asked}", 0.0)
        return Row(work, "", None, missing=f"{len(problems)} of {asked}: " + "; ".join(problems[:SHOWN]))


def _counts(side: Side) -> tuple[int, int]:
    """Memories and vectors that the side says it has."""
    stats = json.loads(get(side.port, "/api/memories?limit=1"))["stats"]
    return int(stats["total"]), int(stats["withEmbeddings"])


def _check_written(side: Side, begun: tuple[int, int], adds: bool) -> None:
    """Memories were added or not, as expected, and each has its vector; forgotten ones count too.

    Raises MeasurementError.
    """
    memories, vectors = (now - before for now, before in zip(_counts(side), begun, strict=True))
    if (memories > 0) != adds or memories != vectors:
        raise MeasurementError(f"{side.name} has {memories:+} memories and {vectors:+} vectors by this load")
