"""How much is measured, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.benchmark.load import Generator, Load, Loaded
from scripts.benchmark.rows import SIDES
from scripts.benchmark.targets import Site


@dataclass(frozen=True, slots=True)
class Extent:
    """The figures in docs/benchmarks.md are of these defaults. `seconds` is one load on one side in one round."""

    seconds: float = 2.0
    rounds: int = 5
    starts: int = 5
    idle_s: float = 10.0
    events: int = 200  # in each round
    clients: int = 500


@dataclass(frozen=True, slots=True)
class Bench:
    """The running sides and what loads them."""

    site: Site
    extent: Extent
    generate: Generator

    def turns(self) -> list[Sequence[str]]:
        """Per round, the sides in their order: another one first each time, so that noise hits all alike."""
        sides = [side for side in SIDES if side in self.site.ports]
        return [
            sides[first:] + sides[:first] for first in (n % len(sides) for n in range(self.extent.rounds))
        ]  # fmt: skip

    def load(self, load: Load, side: str) -> Loaded:
        return self.generate(load, self.site.ports[side], self.extent.seconds)

    def in_turns(self, load: Load) -> dict[str, list[Loaded]]:
        """Side -> one result per round, after a round that is not counted."""
        for side in self.site.ports:
            self.generate(load, self.site.ports[side], min(1.0, self.extent.seconds))
        results: dict[str, list[Loaded]] = {side: [] for side in self.site.ports}
        for order in self.turns():
            for side in order:
                results[side].append(self.load(load, side))
        return results
