"""When the write-ahead log goes back into the file: mostly on a thread of its own, so that no write waits for the disk.

SQLite by itself does it inside of the commit that fills the log. Here another connection copies the log's pages while
writes go on; what comes meanwhile is copied between two transactions, once the log is long, and then the next
transaction begins the log anew. The log is never cut or removed. Legacy's commits do as SQLite does, all the same.
"""

from __future__ import annotations

import threading
import time
from enum import Enum, auto
from typing import Final

import structlog

from native_routes.database import Connection, DatabaseBusy, DatabaseError, checkpoint, on_commit
from native_routes.sqlite_thread import SqliteThread

FRAMES: Final = 1_000  # pages in the log that are copied at a time: SQLite's own figure, and legacy's
FRAMES_ENOUGH: Final = 4_000  # 16 MB: from here on the write thread copies the rest, so that the log is begun anew
FRAMES_MANY: Final = 16_000  # beyond it the copy is waited for, and readers are: either could let the log grow for ever
LONGEST_WAIT_S: Final = 0.25  # for the copy; what fills the log faster than the disk takes it has to wait somewhere
FEW: Final = 100  # pages that are left to the write thread; more are copied beside it once again
TIMES: Final = 2
WARN_EVERY_S: Final = 60.0

log = structlog.get_logger(__name__)


class _Stage(Enum):
    RESTING = auto()
    COPYING = auto()  # beside the write thread
    COPIED = auto()


class Checkpoints:
    """Of one writing connection, used on its thread. `beside` runs a work on another connection, some time; or not."""

    def __init__(self, connection: Connection, beside: SqliteThread) -> None:
        self.frames = 0  # in the log after the last commit here
        self.longest_s = 0.0  # that the write thread was held up
        self._beside = beside
        self._stage = _Stage.RESTING
        self._copied = threading.Event()
        self._next = FRAMES
        self._warned_s = -WARN_EVERY_S
        on_commit(connection, self._note_frames)

    def between_transactions(self, connection: Connection) -> None:
        """Begin or end what is due."""
        if self._stage is _Stage.RESTING and self.frames < FRAMES:
            self._next = FRAMES
        elif self._stage is _Stage.RESTING and self.frames >= self._next:
            self._next = self.frames + FRAMES
            self._stage = _Stage.COPYING
            self._copied.clear()
            if not self._beside.post(self._copy, self._failed):
                self._stage = _Stage.COPIED  # nobody does it for us
        if self._stage is _Stage.COPYING and self.frames >= FRAMES_MANY:
            self._copied.wait(LONGEST_WAIT_S)
        if self._stage is _Stage.COPIED:
            self._stage = _Stage.RESTING
            if self.frames >= FRAMES_ENOUGH:
                self._finish(connection)

    def _note_frames(self, frames: int) -> None:
        self.frames = frames

    def _copy(self, connection: Connection) -> None:
        """On the other thread."""
        for _ in range(TIMES):
            if checkpoint(connection) <= FEW:
                break
        self._end_copy()

    def _failed(self, error: BaseException) -> None:
        """On the other thread. Legacy may be at it; else it is tried again after as many pages as ever."""
        self._end_copy()
        if not isinstance(error, DatabaseBusy):
            self._warn(error)

    def _end_copy(self) -> None:
        self._stage = _Stage.COPIED
        self._copied.set()

    def _finish(self, connection: Connection) -> None:
        began_s = time.monotonic()
        try:
            checkpoint(connection, waits_for_readers=self.frames >= FRAMES_MANY)
        except DatabaseBusy:
            pass  # legacy is at it, or a reader stays: again later
        except DatabaseError as error:
            self._warn(error)
        self.longest_s = max(self.longest_s, time.monotonic() - began_s)

    def _warn(self, error: BaseException) -> None:
        """Nothing is lost: what is not copied stays in the log, and is read from there."""
        now = time.monotonic()
        if now - self._warned_s >= WARN_EVERY_S:
            self._warned_s = now
            log.warning("checkpoint_failed", problem=f"{type(error).__name__}: {error}", frames=self.frames)
