"""Requests to the handlers of the group, as the app sends them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from native_routes import GROUPS
from native_routes.daemon_log import DaemonLog, Entry
from native_routes.declaration import NativeRequest
from native_routes.memories import handlers
from native_routes.reader import Reader
from native_routes.reply import Refusal, Reply
from proxy.match import Matcher

MATCHER = Matcher(GROUPS)
HANDLERS = {
    "/api/memories": handlers.list_memories,
    "/api/memory/timeline": handlers.show_timeline,
    "/api/memory/:id": handlers.show_memory,
    "/api/memory/:id/history": handlers.show_history,
    "/api/memory/jobs/:id": handlers.show_job,
}


@dataclass
class StoppedClock:
    ms: int = 1_795_234_000_000  # 2026-11-21T04:06:40.000Z

    def now_ms(self) -> int:
        return self.ms


class Heard:
    """Entries of a log since this began to listen."""

    def __init__(self, log: DaemonLog) -> None:
        self.entries: list[Entry] = []
        log.listen(self.entries.append)

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """Level, category and message of each."""
        return [(entry["level"], entry["category"], entry["message"]) for entry in self.entries]


@dataclass
class Context:
    reader: Reader
    clock: StoppedClock = field(default_factory=StoppedClock)

    def __post_init__(self) -> None:
        self.daemon_log = DaemonLog(self.reader.path.parent / "logs", self.clock)


@dataclass(frozen=True, slots=True)
class Head:
    method: str
    target: bytes
    fields: dict[bytes, bytes] = field(default_factory=dict)


async def get(context: Context, target: str | bytes) -> Reply:
    """The reply to GET, Refusals included."""
    raw = target.encode() if isinstance(target, str) else target
    match = MATCHER.match("GET", raw)
    assert match.route is not None
    handler: Callable[[NativeRequest], Awaitable[Reply]] = HANDLERS[match.route.path]
    query = raw.partition(b"?")[2].decode("latin-1")
    request = NativeRequest(Head("GET", raw), match.path, match.params, query, None, _no_body, context)
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal.reply()


async def _no_body() -> Any:
    return b""
