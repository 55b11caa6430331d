"""The proxy's own memory across restarts, `.daemon/proxy.db`: events, deaths, freezes, kept values, comparisons.

Nothing here may stop the proxy from serving. A full, read-only or damaged disk costs records, which are counted; a
damaged file is moved aside and a new one begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from native_routes.database import Access, Connection, DatabaseCorrupt, DatabaseError
from native_routes.sqlite_thread import SqliteThread
from proxy.comparisons import Comparison, Verdict

log = structlog.get_logger(__name__)
T = TypeVar("T")

# One step per version, applied in order; `PRAGMA user_version` counts them. Steps only ever add, so that an older proxy
# can use the file of a newer one.
STEPS = (
    """
    CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, fields TEXT NOT NULL);
    CREATE INDEX events_by_kind ON events (kind, id);
    CREATE TABLE freezes (
      group_name TEXT NOT NULL, reason TEXT NOT NULL, frozen_at REAL NOT NULL, lifted_at REAL
    );
    CREATE UNIQUE INDEX freezes_in_force ON freezes (group_name) WHERE lifted_at IS NULL;
    CREATE TABLE kept (name TEXT PRIMARY KEY, value TEXT NOT NULL, at REAL NOT NULL);
    """,
    """
    CREATE TABLE comparisons (
      id INTEGER PRIMARY KEY, at REAL NOT NULL, group_name TEXT NOT NULL, route TEXT NOT NULL, target TEXT NOT NULL,
      verdict TEXT NOT NULL, reason TEXT NOT NULL, path TEXT NOT NULL, legacy TEXT NOT NULL, native TEXT NOT NULL
    );
    CREATE INDEX comparisons_by_verdict ON comparisons (verdict, id);
    """,
)
EVENTS_KEPT = 5_000  # of each kind
COMPARISONS_KEPT = 5_000  # of each verdict
_PRUNE_EVERY = 500
_COMPLAIN_EVERY_S = 60.0
_REOPEN_EVERY_S = 60.0
_PENDING = 2_000


@dataclass(frozen=True, slots=True)
class Freeze:
    """A group put back to legacy. `frozen_at` is Unix time."""

    group_name: str
    reason: str
    frozen_at: float


@dataclass(frozen=True, slots=True)
class JournalHealth:
    """`lost`: records that did not reach the disk since the start. `moved_aside`: a damaged file, set apart at start or
    later; freezes that it held are no longer known."""

    is_open: bool
    lost: int
    last_error: str | None
    moved_aside: Path | None


class Journal:
    """One file, one thread. No method raises for what the disk does."""

    def __init__(self, path: Path, *, reopen_every_s: float = _REOPEN_EVERY_S) -> None:
        self._path = path
        self._reopen_every_s = reopen_every_s
        self._thread: SqliteThread | None = None
        self._reopens_s: float | None = None  # when a failed open is tried again; None: open, or closed on purpose
        self._lock = threading.Lock()  # the counters are written on two threads
        self._lost = 0
        self._last_error: str | None = None
        self._complained_s = -_COMPLAIN_EVERY_S
        self._moved_aside: Path | None = None
        self._since_prune = 0
        self._since_prune_comparisons = 0

    @property
    def health(self) -> JournalHealth:
        is_open = self._thread is not None and self._thread.is_open
        return JournalHealth(is_open, self._lost, self._last_error, self._moved_aside)

    async def open(self) -> None:
        """Open or create the file. When that fails, records are lost and counted, and it is tried again once a minute
        when something is asked."""
        try:
            await self._open_or_replace()
        except (DatabaseError, OSError) as error:
            self._reopens_s = time.monotonic() + self._reopen_every_s
            self._complain(error, lost=0)
        else:
            self._reopens_s = None

    async def _open_or_replace(self) -> None:
        try:
            self._thread = await _opened(self._path)
        except DatabaseCorrupt as error:
            self._move_aside(error)
            self._thread = await _opened(self._path)

    async def close(self) -> None:
        """Write what is queued and close."""
        thread, self._thread, self._reopens_s = self._thread, None, None
        if thread is not None:
            await thread.close()

    def record(self, kind: str, **fields: Any) -> None:
        """Keep one event; returns at once. Values that JSON does not know are kept as their text."""
        at = time.time()
        text = json.dumps(fields, default=str, skipkeys=True)
        self._post(lambda connection: self._insert(connection, at, kind, text))

    async def recent(self, kind: str, limit: int) -> list[dict[str, Any]]:
        """The newest events of a kind, newest first, each with its `at` (Unix time); [] also when the disk fails."""
        rows = await self._rows(_RECENT, (kind, limit))
        return [{"at": at} | json.loads(fields) for at, fields in rows]

    def record_comparison(self, comparison: Comparison) -> None:
        """Keep what became of comparing two answers; returns at once."""
        at, values = time.time(), astuple(comparison)
        self._post(lambda connection: self._insert_comparison(connection, (at, *values)))

    async def comparisons(self, limit: int, *, verdict: Verdict | None = None) -> list[dict[str, Any]]:
        """The newest, newest first, each with its `at` (Unix time); [] also when the disk fails."""
        statement, values = (_COMPARISONS, ()) if verdict is None else (_COMPARISONS_OF, (verdict.value,))
        rows = await self._rows(statement, (*values, limit))
        return [dict(zip(_COMPARISON_FIELDS, row, strict=True)) for row in rows]

    async def freeze(self, groups: Iterable[str], reason: str) -> bool:
        """Note that these groups are frozen; an earlier reason stays. False when it did not reach the disk."""
        rows = [(name, reason, time.time()) for name in groups]
        return await self._ask(lambda c: _write(c, _FREEZE, rows), False)

    async def lift(self, groups: Iterable[str]) -> bool:
        """Note that these groups are frozen no longer. False when it did not reach the disk."""
        rows = [(time.time(), name) for name in groups]
        return await self._ask(lambda c: _write(c, _LIFT, rows), False)

    async def freezes(self) -> list[Freeze]:
        """Freezes in force, oldest first; [] when there are none or the file cannot be read (see `health`)."""
        rows = await self._rows(_FREEZES, ())
        return [Freeze(*row) for row in rows]

    def keep(self, name: str, value: Any) -> None:
        """Remember a JSON value under a name, in place of the earlier one; returns at once."""
        row = (name, json.dumps(value), time.time())
        self._post(lambda connection: _write_one(connection, _KEEP, row))

    async def kept(self, name: str) -> Any | None:
        """The value remembered under a name; None when there is none."""
        rows = await self._rows("SELECT value FROM kept WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else None

    def _insert(self, connection: Connection, at: float, kind: str, text: str) -> None:
        connection.execute("INSERT INTO events (at, kind, fields) VALUES (?, ?, ?)", (at, kind, text))
        self._since_prune += 1
        if self._since_prune >= _PRUNE_EVERY:
            self._since_prune = 0
            connection.execute(_PRUNE, (EVENTS_KEPT,))

    def _insert_comparison(self, connection: Connection, row: tuple[Any, ...]) -> None:
        connection.execute(_COMPARE, row)
        self._since_prune_comparisons += 1
        if self._since_prune_comparisons >= _PRUNE_EVERY:
            self._since_prune_comparisons = 0
            connection.execute(_PRUNE_COMPARISONS, (COMPARISONS_KEPT,))

    def _post(self, work: Callable[[Connection], None]) -> None:
        if self._thread is None or not self._thread.post(work, self._failed):
            self._complain(DatabaseError("the journal is closed or its queue is full"), lost=1)

    async def _rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        empty: list[tuple[Any, ...]] = []
        return await self._ask(lambda connection: connection.execute(statement, values).fetchall(), empty)

    async def _ask(self, work: Callable[[Connection], T], otherwise: T) -> T:
        if self._reopens_s is not None and time.monotonic() >= self._reopens_s:
            self._reopens_s = None  # two callers at once must not open two connections
            await self.open()
        if self._thread is None:
            return otherwise
        try:
            return await self._thread.run(work)
        except DatabaseError as error:
            self._failed(error, lost=0)
            return otherwise

    def _failed(self, error: BaseException, lost: int = 1) -> None:
        self._complain(error, lost)

    def _complain(self, error: BaseException, lost: int) -> None:
        """Count, and log once a minute: a full disk must not fill it further."""
        with self._lock:
            self._lost += lost
            self._last_error = str(error)
            now_s = time.monotonic()
            if now_s - self._complained_s < _COMPLAIN_EVERY_S:
                return
            self._complained_s = now_s
        log.warning("journal.failed", path=str(self._path), error=str(error), lost=self._lost)

    def _move_aside(self, error: BaseException) -> None:
        self._moved_aside = self._path.with_name(f"{self._path.name}.corrupt-{int(time.time())}")
        self._path.replace(self._moved_aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).unlink()
        log.error("journal.moved_aside", path=str(self._path), to=str(self._moved_aside), error=str(error))


async def _opened(path: Path) -> SqliteThread:
    # Owner only, before SQLite makes it: the last words of a daemon may hold prompts. Raises OSError.
    await asyncio.to_thread(path.touch, 0o600)
    thread = SqliteThread(path, Access.OWN, pending=_PENDING)
    await thread.open()
    try:
        await thread.run(_apply_steps)
    except BaseException:
        await thread.close()
        raise
    return thread


def _apply_steps(connection: Connection) -> None:
    version = connection.pragma("user_version")
    for number, step in enumerate(STEPS[version:], start=version + 1):
        with connection:
            connection.execute(step)
            connection.pragma("user_version", number)


def _write(connection: Connection, statement: str, rows: list[tuple[Any, ...]]) -> bool:
    with connection:
        connection.executemany(statement, rows)
    return True


def _write_one(connection: Connection, statement: str, row: tuple[Any, ...]) -> None:
    connection.execute(statement, row)


_RECENT = "SELECT at, fields FROM events WHERE kind = ? ORDER BY id DESC LIMIT ?"
_PRUNE = """
  DELETE FROM events WHERE id IN (
    SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY kind ORDER BY id DESC) AS nth FROM events) WHERE nth > ?
  )
"""
_COMPARE = """
  INSERT INTO comparisons (at, group_name, route, target, verdict, reason, path, legacy, native)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COMPARISON_FIELDS = ("at", "group", "route", "target", "verdict", "reason", "path", "legacy", "native")
_COMPARISONS = """
  SELECT at, group_name, route, target, verdict, reason, path, legacy, native FROM comparisons ORDER BY id DESC LIMIT ?
"""
_COMPARISONS_OF = """
  SELECT at, group_name, route, target, verdict, reason, path, legacy, native FROM comparisons
  WHERE verdict = ? ORDER BY id DESC LIMIT ?
"""
_PRUNE_COMPARISONS = """
  DELETE FROM comparisons WHERE id IN (
    SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY verdict ORDER BY id DESC) AS nth FROM comparisons)
    WHERE nth > ?
  )
"""
_FREEZE = "INSERT INTO freezes (group_name, reason, frozen_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_LIFT = "UPDATE freezes SET lifted_at = ? WHERE group_name = ? AND lifted_at IS NULL"
_FREEZES = "SELECT group_name, reason, frozen_at FROM freezes WHERE lifted_at IS NULL ORDER BY frozen_at, group_name"
_KEEP = """
  INSERT INTO kept (name, value, at) VALUES (?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at
"""
