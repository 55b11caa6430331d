"""Rules: the only way to have a field compared otherwise than exactly. Each must be anchored, needed and in date."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from parity_tests.harness import forms
from parity_tests.harness.tree import Path, Tree, of

KINDS: Final = frozenset({"form", "digest", "unordered", "differs", "borrowed"})
_PART = re.compile(r'\.?([A-Za-z0-9_$/-]+)|\[(\d+|\*)\]|\[("(?:[^"\\]|\\.)*")\]')
_FIELDS = frozenset({"route", "path", "kind", "reason", "form", "to", "expires", "candidate", "cases"})

Pattern = tuple[str | int | None, ...]
"""A path; None stands for any index, and for nothing else."""


def today() -> date:
    """Rules expire by the calendar."""
    return datetime.now(UTC).date()  # noqa: TID251


class RuleError(Exception):
    """A rule is not well formed; the message says which and how."""


@dataclass(frozen=True, slots=True)
class Rule:
    route: str  # "POST /api/memory/recall" as declared in native_routes; "end" = what is left at a scenario's end
    path: str
    kind: str
    reason: str
    form: str = ""  # kind form: one of forms.RULE_FORMS
    to: Tree = None  # kind differs: what the candidate answers instead
    expires: date | None = None
    candidate: str = ""  # holds only for this candidate: legacy_ts or native; "" = for each
    cases: frozenset[int] = frozenset()  # by number; none = every case of the route
    pattern: Pattern = ()

    def __str__(self) -> str:
        cases = f" in cases {', '.join(map(str, sorted(self.cases)))}" if self.cases else ""
        return f"{self.kind} rule {self.route} {self.path}{cases}"

    def is_for(self, route: str, case: str) -> bool:
        """`case` is the observation's: memories/list#3."""
        return self.route == route and (not self.cases or case.rpartition("#")[2] in map(str, self.cases))

    def covers(self, path: Path) -> bool:
        return len(path) == len(self.pattern) and all(
            wanted == got if wanted is not None else isinstance(got, int)
            for wanted, got in zip(self.pattern, path, strict=True)
        )


def parse_rule(data: Mapping[str, Any]) -> Rule:
    """Raises RuleError."""
    unknown = set(data) - _FIELDS
    missing = {"route", "path", "kind", "reason"} - set(data)
    if unknown or missing:
        raise RuleError(f"rule {dict(data)}: unknown fields {sorted(unknown)}, missing {sorted(missing)}")
    rule = Rule(
        route=str(data["route"]),
        path=str(data["path"]),
        kind=str(data["kind"]),
        reason=str(data["reason"] or ""),
        form=str(data.get("form", "")),
        to=of(data.get("to")),
        expires=data.get("expires"),
        candidate=str(data.get("candidate", "")),
        cases=frozenset(data.get("cases", ())),
        pattern=_pattern(str(data["path"])),
    )
    _check(rule, has_to="to" in data)
    return rule


def _check(rule: Rule, *, has_to: bool) -> None:
    faults = [
        (rule.kind not in KINDS, f"kind must be one of {', '.join(sorted(KINDS))}"),
        (len(rule.reason) < 10, "a reason that a stranger understands is required"),
        ((rule.kind == "form") != (rule.form in forms.RULE_FORMS), f"form: one of {sorted(forms.RULE_FORMS)}"),
        ((rule.kind == "differs") != has_to, "`to`, what the candidate answers, goes with kind differs"),
        (rule.expires is not None and not isinstance(rule.expires, date), "expires must be a date, 2027-01-31"),
        (rule.candidate not in {"", "legacy_ts", "native"}, "candidate must be legacy_ts or native"),
    ]
    for wrong, expected in faults:
        if wrong:
            raise RuleError(f"{rule}: {expected}")


def _pattern(text: str) -> Pattern:
    parts: list[str | int | None] = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or found.end() == at:
            raise RuleError(f"path {text!r}: cannot read it from {text[at:]!r}; write body.items[*].id")
        name, index, quoted = found.groups()
        parts.append(
            name if name is not None else json.loads(quoted) if quoted else None if index == "*" else int(index)
        )
        at = found.end()
    if not parts:
        raise RuleError("a rule needs a path")
    return tuple(parts)


@dataclass(slots=True)
class RuleBook:
    """The rules of one scenario in one run, and what became of each."""

    rules: tuple[Rule, ...]
    candidate: str = ""
    anchored: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def find(self, route: str, case: str, path: Path, kinds: Collection[str]) -> Rule | None:
        """The rule for this field. Looking it up anchors it; only `use` says that it was needed."""
        for rule in self.rules:
            if rule.kind in kinds and rule.is_for(route, case) and self._applies(rule) and rule.covers(path):
                self.anchored.add(str(rule))
                if rule.kind != "differs":
                    self.used.add(str(rule))
                return rule
        return None

    def use(self, rule: Rule) -> None:
        self.used.add(str(rule))

    def problems(self, today: date) -> list[str]:
        """Why these rules do not stand: expired, unanchored (no such field was seen), unused (nothing to excuse)."""
        out = []
        for rule in filter(self._applies, self.rules):
            if rule.expires is not None and rule.expires < today:
                out.append(f"{rule}: expired on {rule.expires}")
            if str(rule) not in self.anchored:
                out.append(f"{rule}: unanchored, no answer has that field")
            elif str(rule) not in self.used:
                out.append(f"{rule}: unused, legacy and candidate agree")
        return out

    def _applies(self, rule: Rule) -> bool:
        if rule.candidate:
            return rule.candidate == self.candidate
        return rule.kind not in {"differs", "borrowed"} or self.candidate == "native"


def parse_rules(items: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    rules = tuple(map(parse_rule, items))
    names = [str(rule) + rule.candidate for rule in rules]
    double = {name for name in names if names.count(name) > 1}
    if double:
        raise RuleError(f"given twice: {', '.join(sorted(double))}")
    return rules
