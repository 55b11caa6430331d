"""What was seen of one case: its answer and what it changed, with this side's surroundings named, not spelled out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from parity_tests.harness import forms
from parity_tests.harness.forms import Moment
from parity_tests.harness.tree import Number, Object, Tree

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?")


@dataclass(frozen=True, slots=True)
class Observation:
    case: str  # "memories/list#3 GET /api/memories?limit=0", or "memories/list#end"
    route: str  # as declared, "GET /api/memory/:id"; "end"
    moment: Moment
    tree: Tree
    request: Tree = None  # as it was sent, for reports


@dataclass(slots=True)
class Surroundings:
    """What differs between two sides because they run in different places, and the name that takes its place."""

    texts: dict[str, str] = field(default_factory=dict)  # longest first when applied
    numbers: dict[tuple[str, str], str] = field(default_factory=dict)  # (key, number text) -> name
    stamps: Mapping[str, str] = field(default_factory=dict)  # points in time that the home was seeded with
    _pattern: re.Pattern[str] | None = None

    def name(self, text: str, name: str) -> None:
        self.texts[text] = f"«{name}»"
        self._pattern = None

    def text(self, text: str) -> str:
        text = forms.escape(text)
        if self._pattern is None:
            self._pattern = re.compile("|".join(map(re.escape, sorted(self.texts, key=len, reverse=True))) or "(?!)")
        text = self._pattern.sub(lambda found: self.texts[found[0]], text)
        return _TIME.sub(lambda found: f"«{name}»" if (name := self.stamps.get(found[0])) else found[0], text)

    def tree(self, tree: Tree, key: str = "") -> Tree:
        if isinstance(tree, Object):
            return Object((self.text(name), self.tree(value, name)) for name, value in tree.pairs)
        if isinstance(tree, list):
            return [self.tree(item, key) for item in tree]
        if isinstance(tree, Number):
            name = self.numbers.get((key, tree.text))
            return tree if name is None else f"«#{name}»"
        return self.text(tree) if isinstance(tree, str) else tree
