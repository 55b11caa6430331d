"""What two recordings of legacy agree on, with everything that moved typed. What cannot be typed is named."""

from __future__ import annotations

from dataclasses import dataclass, field

from parity_tests.harness import forms
from parity_tests.harness.forms import Aliases
from parity_tests.harness.observation import Observation
from parity_tests.harness.rules import RuleBook
from parity_tests.harness.tree import Number, Object, Path, Tree, path_text, stringify

_SHOWN_CHARS = 160


@dataclass(slots=True)
class Settler:
    """Turns pairs of observations into expectations, in the order of a scenario: ids keep their numbers throughout."""

    rules: RuleBook
    first_ids: Aliases = field(default_factory=Aliases)
    second_ids: Aliases = field(default_factory=Aliases)
    unstable: list[str] = field(default_factory=list)
    moved: int = 0

    def settle(self, first: Observation, second: Observation) -> Tree:
        """The expectation; what moved without a form is in `unstable`, with the value of the first recording kept."""
        if first.case != second.case:
            raise AssertionError(f"recordings out of step: {first.case} and {second.case}")
        return _Pair(self, first, second).tree(first.tree, second.tree, ())


@dataclass(slots=True)
class _Pair:
    settler: Settler
    first: Observation
    second: Observation

    def tree(self, a: Tree, b: Tree, path: Path) -> Tree:
        self.settler.rules.find(
            self.first.route, self.first.case, path, {"digest"}
        )  # anchors it; the answer is reduced already
        if isinstance(a, Object) and isinstance(b, Object) and [k for k, _ in a.pairs] == [k for k, _ in b.pairs]:
            pairs = zip(a.pairs, b.pairs, strict=True)
            return Object((key, self.tree(x, y, (*path, key))) for (key, x), (_, y) in pairs)
        if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            if self.settler.rules.find(self.first.route, self.first.case, path, {"unordered"}):
                a, b = sorted(a, key=sort_key), sorted(b, key=sort_key)
            return [self.tree(x, y, (*path, index)) for index, (x, y) in enumerate(zip(a, b, strict=True))]
        rule = self.settler.rules.find(self.first.route, self.first.case, path, {"form"})
        if rule is not None and isinstance(a, Number) and isinstance(b, Number):
            return f"«#{rule.form}{f':{a.text}' if rule.form in {'near', 'elapsed'} else ''}»"
        if rule is not None and isinstance(a, str) and isinstance(b, str) and rule.form == "text":
            return "«text»"
        if isinstance(a, Number) and isinstance(b, Number):
            return self.number(a, b, path)
        if isinstance(a, str) and isinstance(b, str):
            return self.text(a, b, path)
        return a if a == b else self.unstable(a, b, path)

    def number(self, a: Number, b: Number, path: Path) -> Tree:
        key = _key_of(path)
        by_name = key == "uptime" or key in forms.DURATION_KEYS or key in forms.COUNTDOWN_KEYS
        if a == b and not by_name:
            return a
        one = forms.describe_number(key, a.text, self.first.moment)
        other = forms.describe_number(key, b.text, self.second.moment)
        if one is None or other is None or not forms.number_fits(one, b.text, self.second.moment):
            one = None if a == b else forms.describe_age(a.text, b.text, self.first.moment, self.second.moment)
        if one is None:
            return a if a == b else self.unstable(a, b, path)
        self.settler.moved += 1
        return f"«#{one}»"

    def text(self, a: str, b: str, path: Path) -> Tree:
        if path and path[-1] == "retry-after" and a.isdigit() and b.isdigit():
            return f"«near:{a}»"
        always_moves = path == ("headers", "date")  # whole seconds: two recordings can agree by chance
        if a == b and not always_moves:
            return a
        one, other = forms.spans(a), forms.spans(b)
        if [form for form, _ in one] != [form for form, _ in other]:
            return self.unstable(a, b, path)
        parts = [self.span(form, x, y, always_moves) for (form, x), (_, y) in zip(one, other, strict=True)]
        if any(part is None for part in parts):
            return self.unstable(a, b, path)
        self.settler.moved += 1
        return "".join(part or "" for part in parts)

    def span(self, form: str, a: str, b: str, always_moves: bool) -> str | None:
        if a == b and not (form and always_moves):
            return a
        if not form:
            return None
        placeholder = forms.describe(form, a, self.first.moment, self.settler.first_ids)
        if placeholder is None or not forms.fits(placeholder, b, self.second.moment, self.settler.second_ids):
            return None
        return f"«{placeholder}»"

    def unstable(self, a: Tree, b: Tree, path: Path) -> Tree:
        shown = " | ".join(stringify(value)[:_SHOWN_CHARS] for value in (a, b))
        self.settler.unstable.append(f"{self.first.case} {path_text(path)}: {shown}")
        return a


def _key_of(path: Path) -> str:
    """The name that says what a number means: its key, or duration for a figure of a latency."""
    names = [part for part in path if isinstance(part, str)]
    if names and names[-1] in forms.LATENCY_KEYS and any("latency" in name.lower() for name in names[:-1]):
        return "duration"
    return names[-1] if names else ""


def sort_key(tree: Tree) -> str:
    """Places items that equal but for formed values side by side."""
    return forms.masked(stringify(tree))
