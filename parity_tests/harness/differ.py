"""Compares an expectation with what a candidate gave, field by field: equal, noisy (its form holds), or differs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from parity_tests.harness import forms
from parity_tests.harness.forms import Aliases, Moment
from parity_tests.harness.noise import sort_key
from parity_tests.harness.observation import Observation
from parity_tests.harness.rules import Rule, RuleBook
from parity_tests.harness.tree import Number, Object, Path, Tree, leaves, path_text, stringify


class Verdict(StrEnum):
    EQUAL = "equal"
    NOISY = "noisy"
    DIFFERS = "differs"
    DECLARED = "declared"  # differs as a rule says it must
    BORROWED = "borrowed"  # legacy's memory only; not counted


@dataclass(frozen=True, slots=True)
class Difference:
    path: str
    expected: str
    got: str
    why: str = ""


@dataclass(slots=True)
class Comparison:
    """One case. `fields` counts verdicts; `differences` is empty when the case holds."""

    case: str
    route: str
    fields: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    differences: list[Difference] = field(default_factory=list)
    expected: Tree = None
    got: Tree = None
    request: Tree = None


ABSENT = "(absent)"


@dataclass(slots=True)
class Differ:
    """Compares a scenario's cases in their order; ids are bound to their numbers as they appear."""

    rules: RuleBook
    ids: Aliases = field(default_factory=Aliases)

    def compare(self, expected: Tree, got: Observation) -> Comparison:
        out = Comparison(got.case, got.route, expected=expected, got=got.tree, request=got.request)
        _Walk(self, got.route, got.moment, out).tree(expected, got.tree, ())
        if not sum(count for verdict, count in out.fields.items() if verdict != Verdict.BORROWED):
            out.differences.append(Difference("", stringify(expected), stringify(got.tree), "nothing was compared"))
        return out


@dataclass(slots=True)
class _Walk:
    differ: Differ
    route: str
    moment: Moment
    out: Comparison

    def tree(self, expected: Tree, got: Tree, path: Path) -> None:
        self.differ.rules.find(
            self.route, self.out.case, path, {"form", "digest"}
        )  # anchors it; the recording has its form
        rule = self.differ.rules.find(self.route, self.out.case, path, {"differs", "borrowed"})
        if rule is not None:
            self.ruled(rule, expected, got, path)
        elif isinstance(expected, Object) and isinstance(got, Object):
            self.objects(expected, got, path)
        elif isinstance(expected, list) and isinstance(got, list):
            self.lists(expected, got, path)
        else:
            self.leaf(expected, got, path)

    def ruled(self, rule: Rule, expected: Tree, got: Tree, path: Path) -> None:
        if rule.kind == "borrowed":
            self.out.fields[Verdict.BORROWED] += 1
        elif got != expected and self.is_as_declared(rule.to, got):
            self.differ.rules.use(rule)
            self.out.fields[Verdict.DECLARED] += 1
        elif got == expected:
            self.out.fields[Verdict.EQUAL] += 1
        else:
            self.differs(path, expected, got, f"the rule says {stringify(rule.to)}")

    def is_as_declared(self, declared: Tree, got: Tree) -> bool:
        """Whether an answer is what a rule's `to` says, placeholders by their form."""
        if isinstance(declared, Object) and isinstance(got, Object):
            same_keys = [key for key, _ in declared.pairs] == [key for key, _ in got.pairs]
            return same_keys and all(
                self.is_as_declared(a, b) for (_, a), (_, b) in zip(declared.pairs, got.pairs, strict=True)
            )
        if isinstance(declared, list) and isinstance(got, list):
            return len(declared) == len(got) and all(map(self.is_as_declared, declared, got))
        return self.matches(declared, got)

    def objects(self, expected: Object, got: Object, path: Path) -> None:
        wanted, found = [key for key, _ in expected.pairs], [key for key, _ in got.pairs]
        if not wanted and not found:
            self.out.fields[Verdict.EQUAL] += 1
        for key in dict.fromkeys(wanted):
            if key not in found:
                self.missing(expected.get(key), (*path, key))
            else:
                self.tree(expected.get(key), got.get(key), (*path, key))
        for key in dict.fromkeys(found):
            if key not in wanted:
                self.extra(got.get(key), (*path, key))
        if [key for key in wanted if key in found] != [key for key in found if key in wanted]:
            self.differs(path, list(wanted), list(found), "keys in another order, or one written twice")

    def missing(self, expected: Tree, path: Path) -> None:
        rule = self.differ.rules.find(self.route, self.out.case, path, {"differs", "borrowed"})
        if rule is not None and rule.kind == "borrowed":
            self.out.fields[Verdict.BORROWED] += 1
        elif rule is not None and rule.to == ABSENT:
            self.differ.rules.use(rule)
            self.out.fields[Verdict.DECLARED] += 1
        else:
            self.differs(path, expected, ABSENT)

    def extra(self, got: Tree, path: Path) -> None:
        rule = self.differ.rules.find(self.route, self.out.case, path, {"differs"})
        if rule is not None and self.is_as_declared(rule.to, got):
            self.differ.rules.use(rule)
            self.out.fields[Verdict.DECLARED] += 1
        else:
            self.differs(path, ABSENT, got)

    def lists(self, expected: list[Tree], got: list[Tree], path: Path) -> None:
        if self.differ.rules.find(self.route, self.out.case, path, {"unordered"}):
            got = sorted(got, key=sort_key)
        if not expected and not got:
            self.out.fields[Verdict.EQUAL] += 1
        for index, (wanted, found) in enumerate(zip(expected, got, strict=False)):
            self.tree(wanted, found, (*path, index))
        for index, wanted in enumerate(expected[len(got) :], len(got)):
            self.differs((*path, index), wanted, ABSENT)
        for index, found in enumerate(got[len(expected) :], len(expected)):
            self.differs((*path, index), ABSENT, found)

    def leaf(self, expected: Tree, got: Tree, path: Path) -> None:
        if isinstance(expected, str) and forms.is_placeholder(expected):
            if self.matches(expected, got):
                self.out.fields[Verdict.NOISY] += 1
            else:
                self.differs(path, expected, got, "the form does not hold")
        elif type(expected) is type(got) and expected == got:
            self.out.fields[Verdict.EQUAL] += 1
        else:
            self.differs(path, expected, got)

    def matches(self, expected: Tree, got: Tree) -> bool:
        if not isinstance(expected, str):
            return expected == got
        if isinstance(got, Number):
            return expected.startswith("«#") and forms.number_fits(expected[2:-1], got.text, self.moment)
        if not isinstance(got, str) or (expected.startswith("«#") and expected != got):
            return False
        return self.text_matches(expected, got)

    def text_matches(self, expected: str, got: str) -> bool:
        parts = forms.template(expected)
        found = _pattern(expected).fullmatch(got)
        if found is None:
            return False
        inside = [text for kind, text in parts if kind]
        pairs = zip(inside, found.groups(), strict=True)
        return all(forms.fits(placeholder, text, self.moment, self.differ.ids) for placeholder, text in pairs)

    def differs(self, path: Path, expected: Tree, got: Tree, why: str = "") -> None:
        self.out.fields[Verdict.DIFFERS] += 1
        self.out.differences.append(Difference(path_text(path), _shown(expected), _shown(got), why))


@lru_cache(maxsize=256)
def _pattern(expected: str) -> re.Pattern[str]:
    parts = forms.template(expected)
    return re.compile("".join(f"({forms.pattern_of(text)})" if kind else re.escape(text) for kind, text in parts))


def _shown(tree: Tree) -> str:
    return tree if tree == ABSENT and isinstance(tree, str) else stringify(tree)


def field_count(tree: Tree) -> int:
    return sum(1 for _ in leaves(tree))
