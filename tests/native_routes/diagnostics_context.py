"""What the handlers of diagnostics, pipeline and analytics are given, over a real home; `told` is what legacy says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from native_routes.analytics.usage import Usage
from native_routes.daemon_log import DaemonLog
from native_routes.database import Connection
from native_routes.memory_config import MemoryConfig, MemoryConfigFile
from native_routes.outside import BORROW_WITHIN_S
from native_routes.reader import Reader
from tests.native_routes.asking import StoppedClock


@dataclass(frozen=True)
class Counters:
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Walk:
    at_ms: int
    shown: Callable[[Connection], dict[str, Any]]

    def status(self, connection: Connection) -> dict[str, Any]:
        return self.shown(connection)


@dataclass
class Context:
    home_path: Path
    reader: Reader
    told: dict[bytes, Mapping[str, Any]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": ""})
    clock: StoppedClock = field(default_factory=StoppedClock)
    counters: Counters = field(default_factory=Counters)
    last_walk: Walk | None = None
    borrowed: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # set once something is borrowed
    silent: asyncio.Event | None = None  # until it is set nobody answers

    def __post_init__(self) -> None:
        self.daemon_log = DaemonLog(self.logs_path, self.clock)

    @property
    def logs_path(self) -> Path:
        return self.home_path / ".daemon" / "logs"

    async def config(self) -> MemoryConfig:
        return await MemoryConfigFile(self.home_path).read()

    async def borrow(self, target: bytes, within_s: float = BORROW_WITHIN_S) -> Mapping[str, Any] | None:
        self.borrowed.append(target)
        self.asked.set()
        if self.silent is not None:
            await self.silent.wait()
        return self.told.get(target)

    def configure(self, *lines: str) -> None:
        """agent.yaml: the lines, indented below `memory.pipelineV2`, over a quiet configuration."""
        quiet = ("embedding:", "  provider: none", "memory:", "  pipelineV2:")
        (self.home_path / "agent.yaml").write_text("\n".join([*quiet, *(f"    {line}" for line in lines), ""]))


@asynccontextmanager
async def context_for(home_path: Path) -> AsyncIterator[Context]:
    """A context that reads `memory/memories.db` below `home_path`."""
    reader = Reader(home_path / "memory" / "memories.db", threads=2)
    try:
        yield Context(home_path, reader)
    finally:
        await reader.close()
