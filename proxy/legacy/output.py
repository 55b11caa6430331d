"""The daemon's stdout and stderr: read for ever, because a full pipe freezes it; kept in a rotated file."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import threading
from collections import deque
from pathlib import Path
from typing import IO

FILE_BYTES = 10 * 1024 * 1024  # Legacy's own log rotates at the same size.
FILES_KEPT = 3
_LINES_KEPT = 20
_LINE_BYTES = 300
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class RotatedFile:
    """Appends bytes to `path`, then `path.1`, `path.2`... are the older ones. Never raises: what the disk does not take
    is lost and counted in `lost_bytes`. Used by one thread."""

    def __init__(self, path: Path, limit_bytes: int = FILE_BYTES) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._file: IO[bytes] | None = None
        self.lost_bytes = 0

    def write(self, data: bytes) -> None:
        try:
            self._open_with_room(len(data)).write(data)
        except OSError:
            self.lost_bytes += len(data)
            self.close()  # The next write opens anew: the disk may have room again, the folder may be back.

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _open_with_room(self, size: int) -> IO[bytes]:
        if self._file is not None and self._file.tell() + size > self._limit_bytes:
            self.close()
            self._shift()
        if self._file is None:
            # Owner only: legacy prints prompts and memories.
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(fd, "ab", buffering=0)
        return self._file

    def _shift(self) -> None:
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, FILES_KEPT))]
        for newer, older in reversed(list(itertools.pairwise(names))):
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)


class OutputDrain:
    """Reads a pipe to its end on a thread of its own, whatever happens to the file."""

    def __init__(self, read_fd: int, path: Path) -> None:
        self._fd = read_fd
        self._file = RotatedFile(path)
        self._lines: deque[bytes] = deque(maxlen=_LINES_KEPT)
        self._rest = b""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._drain, name="legacy output", daemon=True)
        self._thread.start()

    @property
    def lost_bytes(self) -> int:
        return self._file.lost_bytes

    def last_lines(self) -> tuple[str, ...]:
        """At most 20 lines, newest last, each cut to 300 bytes."""
        with self._lock:
            lines = [*self._lines, self._rest]
        return tuple(_COLOURS.sub("", line.decode(errors="replace")) for line in lines if line)

    def finish(self, within_s: float) -> None:
        """Wait for the end of the output. A grandchild that kept the pipe may hold it open: then it is read on."""
        self._thread.join(within_s)

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._fd, 65_536):
                self._remember(data)
                self._file.write(data)
        os.close(self._fd)
        self._file.close()

    def _remember(self, data: bytes) -> None:
        *lines, rest = (self._rest + data[-_LINES_KEPT * _LINE_BYTES * 4 :]).split(b"\n")
        with self._lock:
            self._lines.extend(line[:_LINE_BYTES] for line in lines[-_LINES_KEPT:] if line)
            self._rest = rest[:_LINE_BYTES]
