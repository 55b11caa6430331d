"""The file of sealed secrets: read for every request, as another process may have written it, and written whole.

`{"version": 1, "secrets": {NAME: {"ciphertext", "created", "updated"}}}`; whatever else stands in it is kept.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Any, Final

from native_routes.javascript.file_problem import file_problem
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import stringify, undefined
from native_routes.request_body import body_text
from native_routes.whole_file import replace_file

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Legacy asks with `in` whether a name is stored; every JavaScript object has these.
INHERITED: Final = frozenset({
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
    "__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__",
})  # fmt: skip
_INDENT: Final = "  "


class StoreError(TypeError):
    """The file is JSON of another shape; the message is the JavaScript engine's, as legacy repeats it."""


class SecretsFile:
    """One reading of the file. Everything here blocks on the disk and raises OSError, in Bun's words."""

    def __init__(self, path: Path) -> None:
        """An unreadable or missing file holds nothing, as in legacy."""
        self._path = path
        self._content: Any = {"version": 1, "secrets": {}}
        self._is_damaged = False
        self._unread: OSError | None = None
        text = ""
        try:
            text = body_text(path.read_bytes())
            self._content = parse_json(text)
        except FileNotFoundError:
            return
        except OSError as error:
            self._unread = error
        except ValueError:
            self._is_damaged = not text.isspace() and text != ""

    @classmethod
    def of(cls, home_path: Path) -> SecretsFile:
        return cls(home_path / ".secrets" / "secrets.enc")

    @property
    def names(self) -> list[str]:
        return list(self._entries("Object.keys(store.secrets)"))

    def holds(self, name: str) -> bool:
        return name in self._entries("name in store.secrets") or name in INHERITED

    def sealed(self, name: str) -> Any:
        """The sealed text, None where an entry has none. Raises KeyError for a name that is not there."""
        entries = self._entries("store.secrets[name]")
        if name not in entries and name not in INHERITED:
            raise KeyError(name)
        entry = entries.get(name)
        return entry.get("ciphertext") if isinstance(entry, dict) else None

    def put(self, name: str, sealed: str, now: str) -> None:
        """Add or replace, and write. A replaced one keeps its place and its `created`."""
        entries = self._entries("store.secrets[name]")
        old = entries.get(name)
        created = old.get("created") if isinstance(old, dict) else None
        if name != "__proto__":  # legacy stores it where JSON does not see it
            entries[name] = {"ciphertext": sealed, "created": now if created is None else created, "updated": now}
        self._write()

    def remove(self, name: str) -> None:
        self._entries("name in store.secrets").pop(name, None)
        self._write()

    def _entries(self, wanted: str) -> dict[str, Any]:
        """`wanted` is what legacy's code evaluates when it fails.

        Differs: a list or a text counts as no object; legacy finds places in it, and loses what it stores there.
        """
        if self._content is None:
            raise StoreError("null is not an object (evaluating 'store.secrets')")
        entries = self._content.get("secrets", undefined) if isinstance(self._content, dict) else undefined
        if isinstance(entries, dict):
            return entries
        if wanted == "name in store.secrets":
            raise StoreError(f"store.secrets is not an Object. (evaluating '{wanted}')")
        raise StoreError(f"{'null' if entries is None else 'undefined'} is not an object (evaluating '{wanted}')")

    def _write(self) -> None:
        """Differs: legacy overwrites what it could not parse, and with it every secret; ours keeps it beside.

        What could not be read at all is never replaced: the folder may allow what the file forbids.
        """
        folder = self._path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(file_problem(error, "mkdir", folder)) from error
        try:
            self._replace()
        except OSError as error:
            raise OSError(file_problem(error, "open", self._path)) from error

    def _replace(self) -> None:
        if self._unread is not None:
            raise self._unread
        if self._is_damaged:
            os.replace(self._path, self._aside())
        replace_file(self._path, pretty(self._content).encode(), mode=0o600)

    def _aside(self) -> Path:
        """A name that nothing has: an earlier damaged file may be all that is left of some secrets."""
        for place in itertools.count(1):
            path = self._path.with_name(f"{self._path.name}.damaged{'' if place == 1 else f'-{place}'}")
            if not os.path.lexists(path):
                return path
        raise AssertionError("numbers do not end")


def pretty(value: Any, margin: str = "") -> str:
    """`JSON.stringify(value, null, 2)`."""
    inner = margin + _INDENT
    if isinstance(value, dict) and value:
        lines = [f"{inner}{stringify(key)}: {pretty(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + pretty(item, inner) for item in value) + f"\n{margin}]"
    return stringify(value)
