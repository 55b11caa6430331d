"""What legacy and native are compared at: the requests, how many clients, and what is asked of native (DESIGN 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from scripts.benchmark import questions
from scripts.benchmark.homes.build import HomeSpec
from scripts.benchmark.questions import Questions
from scripts.benchmark.rows import Budget

Ask = Callable[[HomeSpec, str], Questions]
MANY: Final = 10
AGAIN: Final = 50
WRITTEN_PER_S: Final = 50


@dataclass(frozen=True, slots=True)
class LoadKind:
    """`per_s` and `p99` are budgets by number of memories: native's figure as a multiple of legacy's.

    `most`: requests in a round, where there is no endless number of different ones. `adds`: whether each
    request adds a memory, where the contest writes.
    """

    name: str
    clients: int
    ask: Ask
    per_s: Mapping[int, Budget] = field(default_factory=dict)
    p99: Mapping[int, Budget] = field(default_factory=dict)
    percentiles: tuple[int, ...] = (50, 95, 99)
    written_per_s: int = 0  # memories that another program writes meanwhile
    remembered_per_s: int = 0  # memories that the side itself is told to remember meanwhile
    most: int | None = None
    adds: bool = True


@dataclass(frozen=True, slots=True)
class Contest:
    """`main` is the load under which stalls and memory are looked at; `new` are keys that differ in every answer.

    Answers to `main` are compared, and to the others as well where `compares_all`.
    """

    name: str
    group: str
    sizes: tuple[int, ...]
    main: LoadKind
    others: tuple[LoadKind, ...]
    new: frozenset[str] = frozenset()
    writes: bool = False
    compares_all: bool = False

    @property
    def loads(self) -> tuple[LoadKind, ...]:
        return (self.main, *self.others)


def _at_least(times: float) -> Budget:
    return Budget(times, at_most=False)


_RECALLS_PER_S: Final = {10_000: _at_least(10), 100_000: _at_least(20)}
_RECALL_P99: Final = {10_000: Budget(0.1)}


def recall(written_per_s: int = WRITTEN_PER_S) -> Contest:
    """`written_per_s`: memories a second in the loads beside writes."""
    beside_writes = partial(LoadKind, clients=MANY, ask=questions.recalls, per_s=_RECALLS_PER_S, p99=_RECALL_P99)
    return Contest(
        name="recall",
        group="recall",
        sizes=(1_000, 10_000, 100_000),
        main=LoadKind(f"{MANY} clients", MANY, questions.recalls, per_s=_RECALLS_PER_S, p99=_RECALL_P99),
        others=(
            LoadKind("1 client", 1, questions.recalls),
            LoadKind(
                f"{MANY} clients, {AGAIN} queries again and again", MANY, questions.again(questions.recalls, AGAIN)
            ),
            beside_writes(
                f"{MANY} clients while {written_per_s} memories/s are remembered", remembered_per_s=written_per_s
            ),
            beside_writes(
                f"{MANY} clients while another program writes {written_per_s} memories/s", written_per_s=written_per_s
            ),
        ),
    )


SEARCH: Final = Contest(
    name="search",
    group="recall",
    sizes=(10_000, 100_000),
    main=LoadKind(f"{MANY} clients", MANY, questions.searches, per_s={10_000: _at_least(4)}),
    others=(
        LoadKind("1 client", 1, questions.searches),
        LoadKind(
            f"words of many memories, {MANY} clients", MANY, questions.common_searches, per_s={10_000: _at_least(4)}
        ),
    ),
)
LIST: Final = Contest(
    name="list",
    group="memories",
    sizes=(10_000,),
    main=LoadKind(f"first page, {MANY} clients", MANY, questions.first_page, per_s={10_000: _at_least(1.2)}),
    others=(
        LoadKind("first page, 1 client", 1, questions.first_page),
        LoadKind(f"pages from anywhere, {MANY} clients", MANY, questions.pages),
    ),
)
REMEMBER: Final = Contest(
    name="remember",
    group="remember",
    sizes=(10_000,),
    main=LoadKind(f"{MANY} clients", MANY, questions.remembers, per_s={10_000: _at_least(3)}),
    others=(LoadKind("1 client", 1, questions.remembers),),
    new=frozenset({"id"}),
    writes=True,
)
MODIFY: Final = Contest(
    name="modify",
    group="modify",
    sizes=(10_000,),
    main=LoadKind(f"content, {MANY} clients", MANY, questions.rewrites, adds=False),
    others=(
        LoadKind("content, 1 client", 1, questions.rewrites, adds=False),
        LoadKind(f"tags, {MANY} clients", MANY, questions.retags, adds=False),
        LoadKind("tags, 1 client", 1, questions.retags, adds=False),
        LoadKind(f"forget, {MANY} clients", MANY, questions.forgets, most=500, adds=False),
    ),
    writes=True,
    compares_all=True,
)
GROWTH: Final = Contest(
    name="growth",
    group="recall",
    sizes=(1_000, 3_000, 10_000, 30_000, 100_000, 300_000),
    main=LoadKind(f"recall, {MANY} clients", MANY, questions.recalls, percentiles=(50,)),
    others=(LoadKind("recall, 1 client", 1, questions.recalls, percentiles=(50,)),),
)
CONTESTS: Final = {contest.name: contest for contest in (recall(), SEARCH, LIST, REMEMBER, MODIFY, GROWTH)}
