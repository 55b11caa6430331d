"""Which files of a home changed: short texts in full, others by digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from parity_tests.harness.schema_classes import IGNORED_FILES, IGNORED_FOLDERS
from parity_tests.harness.tree import Object, Tree, of

_TEXT_BYTES: Final = 2000

State = Mapping[str, tuple[int, bytes]]
"""Path below HOME -> permission bits and content."""


def read_all(root: Path) -> State:
    """Every file that counts. Links are their target's name."""
    out: dict[str, tuple[int, bytes]] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name in IGNORED_FILES or any(name.startswith(f"{folder}/") for folder in IGNORED_FOLDERS):
            continue
        if path.is_symlink():
            out[name] = (0, b"-> " + str(path.readlink()).encode())
        elif path.is_file():
            out[name] = (path.stat().st_mode & 0o777, path.read_bytes())
    return out


def changes(before: State, after: State) -> Object:
    """Path -> content and mode, or null when it is gone; {} when nothing changed."""
    written = [(name, _shown(*after[name])) for name in after if before.get(name) != after[name]]
    gone: list[tuple[str, Tree]] = [(name, None) for name in before if name not in after]
    return Object(written + gone)


def _shown(mode: int, content: bytes) -> Tree:
    try:
        text = content.decode() if len(content) <= _TEXT_BYTES else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        return of({"mode": f"{mode:o}", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()[:16]})
    return of({"mode": f"{mode:o}", "text": text})
