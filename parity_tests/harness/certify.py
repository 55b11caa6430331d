"""Decides whether a group is proven, and says what is missing. Only then is evidence written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from native_routes import GROUPS, contract
from native_routes.declaration import RouteGroup
from parity_tests.harness import tree
from parity_tests.harness.differ import Comparison
from parity_tests.harness.evidence import Evidence, imported_modules
from parity_tests.harness.outcome import Outcome
from parity_tests.harness.tree import Object, Tree

READ_GROUP_COMPARISONS: Final = 300
WRITE_GROUP_COMPARISONS: Final = 1000
REFUSALS_PATH: Final = Path(__file__).resolve().parents[1] / "refusals.yaml"
"""Group -> route -> list of [status, error]: the refusals that the reference documents. All must be compared."""


class NotProven(Exception):
    """The proof does not reach; the message lists everything that is missing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a set of outcomes has compared of one group."""

    distinct: Mapping[str, Comparison]  # by request and expected answer
    by_route: Mapping[str, int]
    successes: frozenset[str]
    refusals: frozenset[tuple[str, int, str]]  # route, status, error


def group_named(name: str) -> RouteGroup:
    """Raises NotProven for an unknown name."""
    for group in GROUPS:
        if group.name == name:
            return group
    raise NotProven(f"no group {name}; groups are {', '.join(group.name for group in GROUPS)}")


def certify(
    group: RouteGroup, outcomes: Iterable[Outcome], corpus_digest: str, refusals: Mapping[str, Any] | None = None
) -> Evidence:
    """Evidence for the group from runs of its scenarios. Raises NotProven."""
    outcomes = list(outcomes)
    known = load_refusals() if refusals is None else refusals
    seen = what_was_seen(group, outcomes)
    missing = [*_broken(outcomes), *_unseen(group, seen, known), *_too_few(group, seen)]
    if missing:
        raise NotProven("\n".join(f"{group.name}: {line}" for line in missing))
    count = len(seen.distinct)
    return Evidence(
        group=group.name,
        contract=contract.VERSION,
        schema_version=contract.SCHEMA_VERSION,
        corpus_digest=corpus_digest,
        modules=imported_modules(group.name),
        candidate="native",
        comparisons=count,
        differences=0,
        bound_95=3 / count,
        routes=dict(seen.by_route),
    )


def load_refusals(path: Path = REFUSALS_PATH) -> Mapping[str, Any]:
    return yaml.safe_load(path.read_text()) or {} if path.is_file() else {}


def what_was_seen(group: RouteGroup, outcomes: Iterable[Outcome]) -> Seen:
    routes = {f"{route.method} {route.path}" for route in group.routes}
    distinct: dict[str, Comparison] = {}
    cases: set[str] = set()
    successes, refusals = set(), set()
    for comparison in (one for outcome in outcomes for scenario in outcome.scenarios for one in scenario.answers):
        if comparison.route not in routes:
            continue
        # A case that was both replayed and compared live is one, though a moving field may be written otherwise.
        if comparison.case not in cases:
            cases.add(comparison.case)
            distinct[f"{tree.stringify(comparison.request)}\n{tree.stringify(comparison.expected)}"] = comparison
        status, error = _status_and_error(comparison.expected)
        # The candidate's own status: a route that legacy never answers well may be one that is native on purpose.
        if 200 <= _status_and_error(comparison.got)[0] < 400 and not comparison.differences:
            successes.add(comparison.route)
        if status >= 400 or error:
            refusals.add((comparison.route, status, error))
    by_route = Counter(comparison.route for comparison in distinct.values())
    return Seen(distinct, by_route, frozenset(successes), frozenset(refusals))


def _status_and_error(answer: Tree) -> tuple[int, str]:
    """The error is the body's `error`; of a refusal without one its `status`, or its text. "" for a success."""
    if not isinstance(answer, Object):
        return 0, ""
    found = tree.plain(answer.get("status"))
    status = found if isinstance(found, int) else 0
    body = answer.get("body")
    error = body.get("error") if isinstance(body, Object) else None
    if error is None and status >= 400:
        error = body.get("status") if isinstance(body, Object) else body
    return status, error if isinstance(error, str) else ""


def _broken(outcomes: list[Outcome]) -> list[str]:
    broken = [problem for outcome in outcomes for problem in outcome.problems()]
    differences = sum(outcome.differences for outcome in outcomes)
    foreign = {outcome.candidate for outcome in outcomes} - {"native"}
    return (
        broken
        + ([f"{differences} differences"] if differences else [])
        + ([f"compared were the answers of {', '.join(sorted(foreign))}, not native ones"] if foreign else [])
    )


def _unseen(group: RouteGroup, seen: Seen, known: Mapping[str, Any]) -> list[str]:
    out = [f"{route}: no success was compared" for route in _routes(group) if route not in seen.successes]
    if group.name not in known:
        return [
            *out,
            f"its refusals are not listed in {REFUSALS_PATH.name}; give it an entry, {{}} when there are none",
        ]
    if strangers := sorted(set(known[group.name]) - set(_routes(group))):
        out.append(f"{REFUSALS_PATH.name} lists what is no route of the group: {', '.join(strangers)}")
    out += [
        f"{route}: the refusal {status} {error!r} was not compared"
        for route, refusals in known[group.name].items()
        for status, error in refusals
        if not any(_is_listed(one, route, status, error) for one in seen.refusals)
    ]
    return out


def _is_listed(seen: tuple[str, int, str], route: str, status: int, error: str) -> bool:
    """`*` in a listed error stands for any text."""
    pattern = ".+".join(map(re.escape, error.split("*")))
    return seen[:2] == (route, status) and re.fullmatch(pattern, seen[2], re.DOTALL) is not None


def _routes(group: RouteGroup) -> list[str]:
    return [f"{route.method} {route.path}" for route in group.routes]


def _too_few(group: RouteGroup, seen: Seen) -> list[str]:
    needed = WRITE_GROUP_COMPARISONS if group.writes else READ_GROUP_COMPARISONS
    count = len(seen.distinct)
    return [f"{count} distinct comparisons; {needed} are needed"] if count < needed else []
