"""The agent's files at the top of its home: Markdown and YAML, seen through symbolic links."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, Final

from native_routes.javascript.collation import collation_key
from native_routes.javascript.values import well_formed
from native_routes.whole_file import replace_file

SUFFIXES: Final = (".md", ".yaml")
FIRST: Final = ("agent.yaml", "AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md")


def list_files(home_path: Path) -> list[dict[str, Any]]:
    """`name`, `content` and `size` in bytes of each, the agent's own files first. Blocks. Raises OSError.

    What is not UTF-8, in content or name, has U+FFFD in its place; a byte order mark stays.
    Differs: legacy then looks for a file of that other name, and fails.
    """
    found = []
    for path in home_path.iterdir():
        if not path.name.endswith(SUFFIXES):
            continue
        state = path.stat()  # a dangling link fails the whole list, as in legacy
        if stat.S_ISREG(state.st_mode):
            content = path.read_bytes().decode("utf-8", "replace")
            found.append({"name": well_formed(path.name), "content": content, "size": state.st_size})
    return sorted(found, key=_order)


def _order(file: dict[str, Any]) -> tuple[int, Any]:
    name = file["name"]
    return (FIRST.index(name), ()) if name in FIRST else (len(FIRST), collation_key(name))


def save_file(home_path: Path, name: str, content: str) -> None:
    """Blocks. Raises OSError, and ValueError for a name with NUL.

    Differs: legacy truncates the file and then writes it, so that a full disk or a kill leaves half of it.
    """
    replace_file(home_path / well_formed(name), well_formed(content).encode())
