"""The harness's only use of SQLite, and what it opens: databases of homes that it made itself.

A harness process supervises no daemon of its users, so the project's rule against a second opener holds by
construction; the library is the proxy's own, so that sorting, FTS and vectors are those of the native side.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import apsw  # noqa: TID251  (see above)
import sqlite_vec  # type: ignore[import-untyped]  # ships no types

VECTOR_LIBRARY: Final[str] = sqlite_vec.loadable_path()
"""Without its suffix, as SQLite takes it."""

Connection = apsw.Connection
SQLError = apsw.Error


class NeverStill(Exception):
    """The database kept changing for longer than a scenario may take."""


def open_database(path: Path | str) -> Connection:
    """Open with sqlite-vec loaded and legacy's busy timeout."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(5000)
    connection.enable_load_extension(True)
    connection.load_extension(VECTOR_LIBRARY)
    connection.enable_load_extension(False)
    return connection


def copy_into(source: Connection, target: Connection) -> None:
    """A consistent copy of everything, through the backup API."""
    with target.backup("main", source, "main") as backup:
        while not backup.done:
            backup.step(-1)


def in_memory_copy(source: Connection) -> Connection:
    copy = open_database(":memory:")
    copy_into(source, copy)
    return copy


def data_version(connection: Connection) -> int:
    """Changes whenever another connection commits."""
    return int(scalar(connection, "PRAGMA data_version"))


def wait_until_still(connection: Connection, still_s: float, within_s: float = 10.0) -> int:
    """The data version, once it has not changed for `still_s`. Raises NeverStill."""
    deadline = time.monotonic() + within_s
    version, since = data_version(connection), time.monotonic()
    while time.monotonic() - since < still_s:
        if time.monotonic() > deadline:
            raise NeverStill(f"the database was still changing after {within_s:g} s")
        time.sleep(0.004)
        if (now := data_version(connection)) != version:
            version, since = now, time.monotonic()
    return version


def scalar(connection: Connection, sql: str) -> Any:
    return next(iter(connection.execute(sql)))[0]
