"""What the operator asked for: `.daemon/cutover.yaml`. Nothing here knows what is in force; `cutover.py` does.

    # any comment; `signet-proxy cutover set` keeps it
    groups:
      recall: native
      embeddings: shadow

A group that is not named has its default: native for `health` and for groups that ship native, where their evidence
holds; legacy for every other.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import yaml

FILE_BYTES_LIMIT = 65_536  # 40 groups need 2 KB; more is not this file
HEADER = (
    "# Who answers each route group: legacy, shadow or native. `signet-proxy cutover list` tells what is in force.\n"
)
_ENTRY = re.compile(r"^(?P<head>[ \t]+(?P<quote>['\"]?)(?P<name>[\w-]+)(?P=quote)[ \t]*:[ \t]*)[\w'\"]+(?P<tail>.*)$")


Stamp = tuple[int, int, int] | None
"""(mtime in ns, size, inode) of a file, which change with its content; None when there is no file."""


class Mode(IntEnum):
    """Who answers a group. The order counts: an effective mode is the lower of the desired one and the cap."""

    LEGACY = 0
    SHADOW = 1
    NATIVE = 2

    @property
    def word(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Mode:
        """Raises DesiredModesError for anything but the three words."""
        try:
            return cls[word.upper()]
        except KeyError:
            raise DesiredModesError(f"unknown mode {word!r}: expected legacy, shadow or native") from None


class DesiredModesError(Exception):
    """The file cannot be used or written. The message names every problem, with its line where there is one."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One reading of the file: its modes, or the problem, or neither when there is no file.

    `write` counts our own writes before this reading, so that a reading overtaken by a write is recognised.
    """

    modes: Mapping[str, Mode] | None
    problem: str | None
    write: int


class DesiredModesFile:
    """The file on disk. Every method blocks: call them in a thread. Safe to use from several threads."""

    def __init__(self, path: Path, known: Collection[str]) -> None:
        self.path = path
        self._known = frozenset(known)
        self._lock = threading.Lock()
        self.writes = 0

    def stamp(self) -> Stamp:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def load(self) -> Loaded:
        with self._lock:
            try:
                text = self._text()
                modes = None if text is None else parse(text, self._known)
            except DesiredModesError as error:
                return Loaded(None, str(error), self.writes)
            return Loaded(modes, None, self.writes)

    def change(self, last_good: Mapping[str, Mode], changes: Mapping[str, Mode]) -> Loaded:
        """Writes `changes` into the file, keeping its comments, and returns what it then says.

        A file that cannot be used, or not edited line by line, is replaced by one made from `last_good` and kept
        beside as `cutover.yaml.bak`. Raises DesiredModesError when the disk refuses.
        """
        with self._lock:
            edited = self._edited(changes)
            new = edited or render({**last_good, **changes})
            self._write(new, keep_old=edited is None)
            self.writes += 1
            return Loaded(parse(new, self._known), None, self.writes)

    def _edited(self, changes: Mapping[str, Mode]) -> str | None:
        """The file's text with the changes made; None when it cannot be used or is not written line by line."""
        try:
            text = self._text() or ""
            wanted = {**parse(text, self._known), **changes}
            new = edit(text, changes)
            return new if parse(new, self._known) == wanted else None
        except DesiredModesError:
            return None

    def _text(self) -> str | None:
        try:
            with self.path.open("rb") as file:
                data = file.read(FILE_BYTES_LIMIT + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DesiredModesError(f"cannot be read: {error.strerror}") from error
        if len(data) > FILE_BYTES_LIMIT:
            raise DesiredModesError(f"larger than {FILE_BYTES_LIMIT} bytes")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise DesiredModesError("not UTF-8 text") from None

    def _write(self, text: str, *, keep_old: bool) -> None:
        draft = self.path.with_name(self.path.name + ".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if keep_old and self.path.exists():
                os.replace(self.path, self.path.with_name(self.path.name + ".bak"))
            os.replace(draft, self.path)
        except OSError as error:
            raise DesiredModesError(
                f"{self.path} cannot be written: {error.strerror}. Make its directory writable, or free disk space."
            ) from error


def parse(text: str, known: Collection[str]) -> dict[str, Mode]:
    """Group name -> mode, in the file's order. Raises DesiredModesError listing every problem with its line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise DesiredModesError(f"{where}not YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(root, yaml.MappingNode) or [key.value for key, _ in root.value] != ["groups"]:
        raise DesiredModesError("expected one top-level key, `groups:`, with lines such as `  recall: native`")
    entries = root.value[0][1]
    if isinstance(entries, yaml.ScalarNode) and entries.value in {"", "~", "null"}:
        return {}
    if not isinstance(entries, yaml.MappingNode):
        raise DesiredModesError("expected lines such as `  recall: native` under `groups:`")
    return _modes(entries, known)


def _modes(entries: yaml.MappingNode, known: Collection[str]) -> dict[str, Mode]:
    modes: dict[str, Mode] = {}
    problems = []
    for key, value in entries.value:
        line = f"line {key.start_mark.line + 1}: "
        if key.value not in known:
            problems.append(f"{line}unknown group {key.value!r}")
        elif key.value in modes:
            problems.append(f"{line}group {key.value!r} is named twice")
        else:
            try:
                modes[key.value] = Mode.of(str(value.value))
            except DesiredModesError as error:
                problems.append(f"{line}{error}")
                modes[key.value] = Mode.LEGACY
    if problems:
        raise DesiredModesError("; ".join(problems))
    return modes


def render(modes: Mapping[str, Mode]) -> str:
    """A whole new file."""
    return HEADER + "groups:\n" + "".join(f"  {name}: {mode.word}\n" for name, mode in modes.items())


def edit(text: str, changes: Mapping[str, Mode]) -> str:
    """`text` with the changed groups' words replaced where they stand and new groups added at the end."""
    left = dict(changes)
    before = text.splitlines()
    lines = list(_edited(before, left))
    indent = next((line[: len(line) - len(line.lstrip())] for line in before if _ENTRY.match(line)), "  ")
    return "\n".join([*lines, *(f"{indent}{name}: {mode.word}" for name, mode in left.items())]) + "\n"


def _edited(lines: list[str], left: dict[str, Mode]) -> Iterator[str]:
    for line in lines:
        entry = _ENTRY.match(line)
        mode = left.pop(entry["name"], None) if entry else None
        yield f"{entry['head']}{mode.word}{entry['tail']}" if entry and mode is not None else line
