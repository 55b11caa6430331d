"""Both sides under the same load in turn, another one first in each round, and what that cost them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice

from scripts.benchmark.generator import Asked, ask
from scripts.benchmark.questions import Questions
from scripts.benchmark.rows import Rounds
from scripts.benchmark.running import cpu_s
from scripts.benchmark.sides import Side

WARM_S = 1.0
QUIET_S = 0.1
QUIET_WITHIN_S = 5.0
LEAST = 64  # questions in a round, however slow the sides are


Beside = Callable[[Side], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each load on one side in one round is, and how many rounds there are."""

    seconds: float = 5.0
    rounds: int = 5


@dataclass(frozen=True, slots=True)
class Turns:
    """`asked[side]` has one load per round; `cpu_s[side]` is the processor time that the side took for all of them."""

    asked: Mapping[str, Sequence[Asked]]
    cpu_s: Mapping[str, float]

    def per_s(self) -> Rounds:
        return {side: [one.per_s for one in ones] for side, ones in self.asked.items()}

    def percentiles(self, percent: float) -> Rounds:
        """In milliseconds."""
        return {side: [one.percentile(percent) for one in ones] for side, ones in self.asked.items()}

    def requests(self, side: str) -> int:
        return sum(one.requests for one in self.asked[side])

    def cpu_ms(self, side: str) -> float:
        """Processor time for one request."""
        return self.cpu_s[side] * 1e3 / self.requests(side)


def in_turns(
    sides: Sequence[Side],
    questions: Questions,
    clients: int,
    pace: Pace,
    at_most: int | None = None,
    beside: Beside = lambda _: nullcontext(),
) -> Turns:
    """Both get the same questions in a round, `at_most` so many; the faster one gets further. Before, a round that is
    not counted. `beside(side)` is entered for each load that counts.
    """
    warm = [_asked(side, questions, clients, min(WARM_S, pace.seconds), at_most or 2_000) for side in sides]
    most = at_most or LEAST + round(2 * pace.seconds * max(one.per_s for one in warm))
    asked: dict[str, list[Asked]] = {side.name: [] for side in sides}
    used = dict.fromkeys(asked, 0.0)
    for turn in range(pace.rounds):
        batch = list(islice(questions, most))
        first = turn % len(sides)
        for side in (*sides[first:], *sides[:first]):
            wait_until_quiet(side.pid)
            before_s = cpu_s(side.pid)
            with beside(side):
                asked[side.name].append(_asked(side, iter(batch), clients, pace.seconds, most))
            wait_until_quiet(side.pid)  # what it does after answering is a part of its work
            used[side.name] += cpu_s(side.pid) - before_s
    return Turns(asked, used)


def _asked(side: Side, questions: Questions, clients: int, seconds: float, most: int) -> Asked:
    batch = list(islice(questions, most))
    return ask(side.port, batch, clients=clients, seconds=seconds, served_by=side.served_by)


def wait_until_quiet(pid: int) -> None:
    """Until the process hardly uses its processor, or for some seconds."""
    ends_s = time.perf_counter() + QUIET_WITHIN_S
    while time.perf_counter() < ends_s:
        before_s = cpu_s(pid)
        time.sleep(QUIET_S)
        if cpu_s(pid) - before_s <= QUIET_S / 5:
            return
