"""JSON as it was written: key order, duplicate keys and number text are kept; 1, 1.0 and "1" are three things."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn, TypeAlias, Union

Tree: TypeAlias = Union[bool, str, "Number", "Object", list["Tree"], None]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_CHARS = 118
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$/-]+")


@dataclass(frozen=True, slots=True)
class Number:
    text: str  # as it was written


class Object:
    """Pairs in their order. Equal only to an object with the same pairs in the same order."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, Tree]]) -> None:
        self.pairs = list(pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Object) and self.pairs == other.pairs

    __hash__ = None  # type: ignore[assignment]  # as a dict's

    def __repr__(self) -> str:
        return f"Object({self.pairs!r})"

    def get(self, name: str) -> Tree:
        """The last value of that name, as JavaScript reads it; None when absent."""
        return next((value for key, value in reversed(self.pairs) if key == name), None)

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.pairs)


def parse(text: str) -> Tree:
    """Raises ValueError when the text is not JSON; NaN and Infinity are not."""
    try:
        tree: Tree = json.loads(
            text, object_pairs_hook=Object, parse_int=Number, parse_float=Number, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return tree


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def of(value: object) -> Tree:
    """A tree of plain Python values: dict, list, tuple, str, int, float, bool, None."""
    if value is None or isinstance(value, bool | str | Number | Object):
        return value
    if isinstance(value, int | float):
        return Number(repr(value))
    if isinstance(value, dict):
        return Object((str(key), of(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return [of(item) for item in value]
    raise TypeError(f"not JSON: {type(value).__name__}")


def plain(tree: Tree) -> object:
    """The same as Python values; of duplicate keys the last counts."""
    if isinstance(tree, Object):
        return {key: plain(value) for key, value in tree.pairs}
    if isinstance(tree, list):
        return [plain(item) for item in tree]
    return json.loads(tree.text) if isinstance(tree, Number) else tree


def stringify(tree: Tree) -> str:
    """On one line, as JavaScript's JSON.stringify writes it; numbers as they were."""
    if isinstance(tree, Object):
        return "{" + ",".join(f"{_string(key)}:{stringify(value)}" for key, value in tree.pairs) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(map(stringify, tree)) + "]"
    return _scalar(tree)


def pretty(tree: Tree, indent: int = 0, used: int = 0) -> str:
    """For files that people read and version control compares: what fits on one line stays on it, short neighbours
    share a line. `used` counts the characters that already stand on the first line."""
    flat = stringify(tree)
    if len(flat) + used <= _LINE_CHARS or not isinstance(tree, Object | list) or flat in {"[]", "{}"}:
        return flat
    inner = indent + 1
    if isinstance(tree, list):
        items = [pretty(item, inner, inner) for item in tree]
        opening, closing = "[]"
    else:
        items = [f"{_string(key)}: {pretty(value, inner, inner + len(key) + 4)}" for key, value in tree.pairs]
        opening, closing = "{}"
    pad = "\n" + " " * inner
    return opening + pad + pad.join(_filled_lines(items, inner)) + "\n" + " " * indent + closing


def _filled_lines(items: list[str], indent: int) -> list[str]:
    """Items with their commas, as many on a line as fit; one that spans lines stands alone."""
    lines: list[str] = []
    room = 0
    for place, item in enumerate(items):
        text = item if place == len(items) - 1 else item + ","
        nested = item.endswith(("}", "]"))
        if nested or len(text) + 1 > room:
            lines.append(text)
            room = 0 if nested else _LINE_CHARS - indent - len(text)
        else:
            lines[-1] += f" {text}"
            room -= len(text) + 1
    return lines


def _scalar(value: bool | str | Number | None) -> str:
    if isinstance(value, Number):
        return value.text
    return _string(value) if isinstance(value, str) else {None: "null", True: "true", False: "false"}[value]


def _string(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


Segment: TypeAlias = str | int
Path: TypeAlias = tuple[Segment, ...]


def path_text(path: Path) -> str:
    """`body.memories[3].id`; a key with other characters is quoted: `rows["a b"]`."""
    out = ""
    for segment in path:
        if isinstance(segment, int):
            out += f"[{segment}]"
        elif _PLAIN_KEY.fullmatch(segment):
            out += f".{segment}" if out else segment
        else:
            out += f"[{json.dumps(segment, ensure_ascii=False)}]"
    return out


def leaves(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Tree]]:
    """Every scalar and every empty container, in order."""
    if isinstance(tree, Object) and tree.pairs:
        for key, value in tree.pairs:
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list) and tree:
        for index, item in enumerate(tree):
            yield from leaves(item, (*path, index))
    else:
        yield path, tree


def pointer(tree: Tree, text: str) -> Tree:
    """What an RFC 6901 pointer names. Raises KeyError."""
    for part in text.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(tree, list) and name.isdigit() and int(name) < len(tree):
            tree = tree[int(name)]
        elif isinstance(tree, Object) and tree.has(name):
            tree = tree.get(name)
        else:
            raise KeyError(text)
    return tree
