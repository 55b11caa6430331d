"""Rounds of writing and killing on one home. One process writes, or two at once; one of them is killed each time."""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.durability.ledger import Ledger
from tests.native_routes.home_database import HomeDatabase

CHECKOUT_PATH = Path(__file__).parents[2]
BEGINS_WITHIN_S = 60.0


@dataclass
class Writing:
    """A process that writes, and its answers as far as they have been read."""

    process: subprocess.Popen[bytes]
    rest: bytes = b""
    answered: int = 0
    lines: list[bytes] = field(default_factory=list)

    def read(self) -> bool:
        """False at the end of its output."""
        assert self.process.stdout is not None
        piece = os.read(self.process.stdout.fileno(), 1 << 16)
        *lines, self.rest = (self.rest + piece).split(b"\n")
        self.lines += lines
        self.answered = len(self.lines) - 1  # the first tells the process id
        return bool(piece)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        with self.process:  # closes its output, and waits
            while self.read():
                pass


@dataclass
class Rounds:
    """`processes` write at once. `ledger` grows over all rounds."""

    folder: Path
    processes: int = 1
    seed: int = 1
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def database_path(self) -> Path:
        return self.folder / "memories.db"

    def run(self, rounds: int, say: Callable[[str], None] = lambda _: None) -> list[str]:
        """The faults found after a kill; ends with the first round that has some."""
        if not self.database_path.exists():
            HomeDatabase(self.database_path).close()
        chance = random.Random(self.seed)
        for number in range(1, rounds + 1):
            with self._writing(number) as writing:
                _until_answered(writing, chance.randint(1, 40), chance.uniform(0.0, 0.3))
            for each in writing:
                for line in each.lines[1:]:
                    self.ledger.add(line)
            faults = self.ledger.refused + self.ledger.faults(self.database_path)
            say(f"round {number}: {self.ledger.entries} answers, {len(self.ledger.memories)} memories")
            if faults:
                return [f"round {number}: {fault}" for fault in faults]
        return []

    @contextlib.contextmanager
    def _writing(self, number: int) -> Iterator[list[Writing]]:
        """Killed at the end, all of them at the same moment."""
        command = (sys.executable, "-m", "tests.durability.writing", str(self.folder))
        with contextlib.ExitStack() as ending:
            writing = []
            for place in range(self.processes):
                process = subprocess.Popen(
                    (*command, f"{self.seed}-{number}-{place}"), stdout=subprocess.PIPE, cwd=CHECKOUT_PATH
                )
                writing.append(Writing(process))
                ending.callback(writing[-1].kill)
            yield writing
            for each in writing:
                each.process.send_signal(signal.SIGKILL)


def _until_answered(writing: list[Writing], answers: int, longer_s: float) -> None:
    """Return when each has answered so often, and a moment later: in the middle of something else."""
    ends_s = time.monotonic() + BEGINS_WITHIN_S
    with selectors.DefaultSelector() as selector:
        for each in writing:
            assert each.process.stdout is not None
            selector.register(each.process.stdout, selectors.EVENT_READ, each)
        while any(each.answered < answers for each in writing):
            assert time.monotonic() < ends_s, "a process does not write"
            for key, _ in selector.select(timeout=1.0):
                assert key.data.read(), "a process ended by itself"
        ends_s = time.monotonic() + longer_s
        while (left_s := ends_s - time.monotonic()) > 0:
            for key, _ in selector.select(timeout=left_s):
                assert key.data.read(), "a process ended by itself"
