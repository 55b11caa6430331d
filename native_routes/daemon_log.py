"""The log that Signet's users read: a line of JSON for each entry in `signet-<UTC date>.log`, and those entries live.

Native answers write what the legacy daemon would have written, into the same file while it runs beside: a line is
appended by one call, so lines of two processes never mix. The proxy's own log, for operators, is another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from native_routes.database import DatabaseError
from native_routes.javascript.dates import iso_text
from native_routes.javascript.primitives import stringify, undefined
from native_routes.log_entries import newest_first
from native_routes.only_compared import is_only_compared
from native_routes.outside import Clock

FLUSH_EVERY_S: Final = 1.0
MOST_WAITING: Final = 10_000  # entries; beyond it the disk has refused them for long, and the oldest are lost
FILE_LIMIT_BYTES: Final = 10 * 1024 * 1024
FILES_KEPT: Final = 5  # after a rotation, the newest

Entry = Mapping[str, Any]
Listener = Callable[[Entry], None]


class DaemonLog:
    """One for the process, used on the event loop. Entries are in the file a second later at most."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.lost = 0
        self.problem: str | None = None
        self._folder = folder
        self._clock = clock
        self._waiting: list[Entry] = []
        self._cut: Path | None = None  # the file that ends in the middle of a line of ours
        self._listeners: set[Listener] = set()
        self._flushing: asyncio.Task[None] | None = None

    def info(self, category: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        self._add("info", category, message, data)

    def warn(self, category: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        self._add("warn", category, message, data)

    def error(
        self, category: str, message: str, error: Exception | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        """Of an exception its kind and message are kept; what it went through stays in the proxy's own log."""
        shown = undefined if error is None else {"name": _kind(error), "message": str(error)}
        self._add("error", category, message, data, shown)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` for every entry from now on, until the returned function is called."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    async def close(self) -> None:
        """Write what waits."""
        if self._flushing is not None:
            self._flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flushing
        await self._flush()

    def _add(
        self, level: str, category: str, message: str, data: Mapping[str, Any] | None, error: Any = undefined
    ) -> None:
        if is_only_compared():
            return
        now = iso_text(self._clock.now_ms())
        entry: dict[str, Any] = {"timestamp": now, "level": level, "category": category, "message": message}
        entry |= {} if data is None else {"data": data}
        entry |= {} if error is undefined else {"error": error}
        for listener in tuple(self._listeners):
            listener(entry)
        self._waiting.append(entry)
        if len(self._waiting) > MOST_WAITING:
            self.lost += 1
            del self._waiting[0]
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush_soon())

    async def _flush_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self._flush()

    async def _flush(self) -> None:
        """What cannot be written waits for the next time."""
        entries, self._waiting = self._waiting, []
        if not entries:
            return
        left = await asyncio.to_thread(_append, self._folder, entries, self._cut)
        self.problem, self._cut = left.problem, left.cut
        self._waiting = left.entries + self._waiting


def error_text(error: Exception) -> str:
    """`String(error)`."""
    return f"{_kind(error)}: {error}"


def _kind(error: Exception) -> str:
    """As JavaScript and Bun name it."""
    if isinstance(error, DatabaseError):
        return "SQLiteError"
    if isinstance(error, TypeError):
        return "TypeError"
    return "SyntaxError" if isinstance(error, ValueError) else "Error"  # a ValueError: what is no JSON


@dataclass(frozen=True, slots=True)
class _Left:
    """What the disk did not take, and why; `cut` as in DaemonLog."""

    entries: list[Entry]
    problem: str | None
    cut: Path | None


def _append(folder: Path, entries: list[Entry], cut: Path | None) -> _Left:
    """Each entry into the file of its day, in their order, up to the first that the disk does not take whole."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while entries:
            day, some = next(itertools.groupby(entries, _day))
            path, of_day = folder / f"signet-{day}.log", list(some)
            whole, is_cut = _write(path, of_day, after_cut=cut == path)
            cut, entries = path if is_cut else None, entries[whole:]
            if whole < len(of_day):
                return _Left(entries, os.strerror(errno.ENOSPC), cut)
    except OSError as error:
        return _Left(entries, str(error), cut)
    return _Left([], None, cut)


def _day(entry: Entry) -> str:
    day: str = entry["timestamp"][:10]
    return day


def _write(path: Path, entries: list[Entry], *, after_cut: bool) -> tuple[int, bool]:
    """How many of them the file has whole now, and whether half a line follows. Raises OSError; then it has none."""
    text = b"".join(stringify(entry).encode() + b"\n" for entry in entries)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        taken = os.write(file, b"\n" + text if after_cut else text) - after_cut  # a nearly full disk takes a part
        is_full = os.fstat(file).st_size > FILE_LIMIT_BYTES
    finally:
        os.close(file)
    if is_full:
        _rotate(path, entries[-1]["timestamp"])
    if taken < 0:
        return 0, True  # of the line that ends the half one nothing was taken either
    return text.count(b"\n", 0, taken), taken > text.rfind(b"\n", 0, taken) + 1


def _rotate(path: Path, now: str) -> None:
    """Set the file aside under the time, as legacy does, and remove the oldest.

    Tried again with the next entries where that fails: these are in the file already, and legacy may have been first.
    """
    with contextlib.suppress(OSError):
        path.rename(path.with_name(f"{path.stem}-{re.sub('[:.]', '-', now)}.log"))
        for old in newest_first(path.parent)[FILES_KEPT:]:
            old.unlink(missing_ok=True)
