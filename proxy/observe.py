"""The proxy's log: lines for people on a terminal, JSON elsewhere and in `<logs>/proxy-YYYY-MM-DD.log` (UTC).

Whoever logs only puts a record into a queue; one thread formats and writes. A full disk or a closed stderr costs
lines, which are counted, and nothing else.
"""

from __future__ import annotations

import logging
import queue
import re
import sys
import time
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

QUEUE_LIMIT = 10_000
FILE_BYTES_LIMIT = 20 * 1024 * 1024  # a day's file beyond this is moved to proxy-<date>.1.log, once more after that
FILES_KEPT = 7
_SECRET_KEY = re.compile(r"secret|token|password|authorization|cookie|api_?key", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"(?i)\b(bearer\s+)\S+")


class Log:
    """The running set-up. Start it once per process; `stop` writes what is queued."""

    def __init__(self, logs_path: Path, stream: TextIO | None = None, *, to_stream_from: int = logging.INFO) -> None:
        stream = sys.stderr if stream is None else stream
        self._records: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_LIMIT)
        self._queue = _Queue(self._records)
        self._file = _DailyFile(logs_path)
        self._stream = _Stream(stream)
        self._file.setFormatter(_formatter(structlog.processors.JSONRenderer()))
        self._stream.setFormatter(_formatter(_renderer_for(stream)))
        self._stream.setLevel(to_stream_from)
        self._running = False
        self._listener = QueueListener(self._records, self._stream, self._file, respect_handler_level=True)

    def start(self) -> None:
        root = logging.getLogger()
        root.handlers[:] = [self._queue]
        root.setLevel(logging.INFO)
        # httpx logs each request, with its address.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        structlog.configure(
            processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )
        self._listener.start()
        self._running = True

    def stop(self) -> None:
        if self._running:
            self._running = False
            self._listener.stop()
        self._file.close()
        logging.getLogger().handlers[:] = []
        structlog.reset_defaults()

    def handle(self, record: logging.LogRecord) -> None:
        """Take one record as the root logger would hand it over."""
        self._queue.handle(record)

    def drain(self) -> None:
        """Wait until what was logged so far is written."""
        self._records.join()

    @property
    def lines_lost(self) -> int:
        return self._queue.lost + self._file.lost


def without_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """`***` for every value whose key names a secret, and for bearer tokens inside any text. One level deep."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = _SECRET_TEXT.sub(r"\1***", value)
    return event


def _ordered(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """What every line has comes first."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "logger", "event") if key in event}
    return {**first, **event}


# A stack trace is rendered where it happens: the queue must not carry frames and what they hold.
_SHARED: list[Processor] = [
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    structlog.processors.format_exc_info,
    without_secrets,
    _ordered,
]


def _formatter(renderer: Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _renderer_for(stream: TextIO) -> Processor:
    if stream.isatty():
        return structlog.dev.ConsoleRenderer(colors=True)
    return structlog.processors.JSONRenderer()


class _Queue(QueueHandler):
    """Never waits: a record that finds the queue full is lost and counted."""

    lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # the default turns structlog's mapping into text for another process; there is none

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.lost += 1


class _Stream(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:
        """A closed terminal takes no lines; the file does."""


class _DailyFile(logging.Handler):
    """Appends to the file of the day; keeps the newest FILES_KEPT. `proxy-legacy.log` beside them is another's."""

    def __init__(self, logs_path: Path) -> None:
        super().__init__()
        self._logs_path = logs_path
        self._path: Path | None = None
        self._file: TextIO | None = None
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._open_for(time.strftime("%Y-%m-%d", time.gmtime(record.created)))
            assert self._file is not None
            self._file.write(self.format(record) + "\n")
            self._file.flush()
        except (OSError, ValueError):
            self.lost += 1
            self._abandon()  # tried anew with the next record

    def close(self) -> None:
        self._abandon()
        super().close()

    def _open_for(self, day: str) -> None:
        path = self._logs_path / f"proxy-{day}.log"
        if self._file is not None and path == self._path and self._file.tell() < FILE_BYTES_LIMIT:
            return
        self._abandon()
        self._logs_path.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size >= FILE_BYTES_LIMIT:
            path.replace(path.with_suffix(".1.log"))
        self._file, self._path = path.open("a", encoding="utf-8"), path
        for old in sorted(self._logs_path.glob("proxy-[0-9]*.log"))[:-FILES_KEPT]:
            old.unlink(missing_ok=True)

    def _abandon(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                self.lost += 1
