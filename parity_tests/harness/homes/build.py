"""Builds a home: database at schema 30, configuration, files. Name and base time decide the content."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from parity_tests.harness import sqlite
from parity_tests.harness.homes.busy import fill_busy
from parity_tests.harness.homes.configs import CONFIGS
from parity_tests.harness.homes.odd import fill_odd
from parity_tests.harness.homes.rows import Rows
from parity_tests.harness.homes.small import SMALL_FILES, fill_small

SCHEMA_PATH: Final = Path(__file__).with_name("schema_30.sql")
SECRET: Final = bytes(range(32))
"""The auth secret of every home. Nothing but test data is behind it."""


def fill_nothing(rows: Rows) -> None:
    """No rows at all."""


@dataclass(frozen=True, slots=True)
class Design:
    fill: Callable[[Rows], None]
    config: str = CONFIGS["quiet"]
    files: Mapping[str, str] = field(default_factory=dict)


DESIGNS: Final[Mapping[str, Design]] = {
    "empty": Design(fill_nothing),
    "small": Design(fill_small, files=SMALL_FILES),
    "busy": Design(fill_busy),
    "team": Design(fill_small, config=CONFIGS["team"], files=SMALL_FILES),
    "odd": Design(fill_odd),
}
_ONLY_FIXED_DATES: Final = frozenset({"empty", "busy"})


@dataclass(frozen=True, slots=True)
class Home:
    """A filled database in memory, and what lies around it."""

    database: sqlite.Connection
    stamps: Mapping[str, str]  # points in time counted from the base, by their text
    design: Design
    lock: threading.Lock = field(default_factory=threading.Lock)  # the database serves one thread at a time


_BUILDING: Final = threading.Lock()


def build(name: str, base_s: int) -> Home:
    """The home as of `base_s`; the same object for the same base. Raises KeyError for an unknown name."""
    with _BUILDING:
        return _build(name, 0 if name in _ONLY_FIXED_DATES else base_s)


@lru_cache(maxsize=8)
def _build(name: str, base_s: int) -> Home:
    design = DESIGNS[name]
    database = sqlite.open_database(":memory:")
    database.execute(SCHEMA_PATH.read_text())
    rows = Rows(database, base_s)
    database.execute("BEGIN")
    design.fill(rows)
    database.execute("COMMIT")
    return Home(database, rows.stamps, design)


def clone(home: Home, folder: Path, seed: str = "") -> None:
    """A home of its own in `folder`, `seed` (SQL) run on it; closed, so that a daemon may have it."""
    (folder / "memory").mkdir(parents=True)
    (folder / ".daemon" / "logs").mkdir(parents=True)
    database = sqlite.open_database(folder / "memory" / "memories.db")
    with home.lock:
        sqlite.copy_into(home.database, database)
    database.execute("PRAGMA journal_mode = WAL")
    if seed:
        database.execute(seed)
    database.close()
    secret = folder / ".daemon" / "auth-secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    for path, text in home.design.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
