"""Sees what a side changes: rows, through one connection held for the run, and files of its home."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from parity_tests.harness import files, snapshot, sqlite
from parity_tests.harness.noise import sort_key
from parity_tests.harness.tree import Object, Tree


@dataclass(slots=True)
class Watch:
    """Opened once the side answers, so that it has brought its database in order; closed before the side stops."""

    user_home: Path
    run_started: str  # "2026-01-31 12:00:00", by the side's clock
    _database: sqlite.Connection = field(init=False)
    _version: int = field(init=False)
    _rows: snapshot.Snapshot = field(init=False)
    _files: files.State = field(init=False)

    def open(self, still_s: float) -> None:
        self._connect()
        self._version = sqlite.wait_until_still(self._database, still_s)
        self._rows = snapshot.take(self._database)
        self.accept_files()

    def close(self) -> None:
        with suppress(AttributeError):  # it was never opened
            self._database.close()

    def reopen(self) -> None:
        """After a restart of the side; what the restart changed counts."""
        self._connect()
        self._version = -1  # a new connection counts anew

    def accept_files(self) -> None:
        """The files as they are now are not the side's doing, or have been told."""
        self._files = files.read_all(self.user_home)

    def accept_file(self, name: str) -> None:
        """This one alone, which a step wrote or removed; what the side did to others still counts."""
        now = {path: state for path, state in files.read_all(self.user_home).items() if path == name}
        self._files = {path: state for path, state in self._files.items() if path != name} | now

    def row_changes(self, still_s: float) -> Object:
        """Since the last look, once nothing was committed for `still_s`. Raises NeverStill and what `take` raises."""
        version = sqlite.wait_until_still(self._database, still_s)
        if version == self._version:
            return Object([])
        before, self._rows, self._version = self._rows, snapshot.take(self._database), version
        return snapshot.changes(before, self._rows, self.run_started)

    def file_changes(self) -> Object:
        return files.changes(self._files, files.read_all(self.user_home))

    def _connect(self) -> None:
        self._database = sqlite.open_database(self.user_home / ".agents" / "memory" / "memories.db")


def in_shared_order(effects: Object) -> Object:
    """Effects of requests sent at once, in an order that two runs share."""

    def ordered(value: Tree) -> Tree:
        if isinstance(value, Object) and value.pairs and all(key.isdigit() for key, _ in value.pairs):
            return sorted((text for _, text in value.pairs), key=sort_key)  # by rowid: who came first is not shared
        if isinstance(value, Object):
            return Object((key, ordered(item)) for key, item in value.pairs)
        return sorted(value, key=sort_key) if isinstance(value, list) else value

    return Object((key, ordered(value)) for key, value in effects.pairs)
