"""What the handlers of status and embeddings are given, over a real home; `told` is what legacy would answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from native_routes.agent_yaml import AuthPolicy
from native_routes.daemon_log import DaemonLog
from native_routes.health.vitals import Vitals
from native_routes.memory_config import MemoryConfig, MemoryConfigFile
from native_routes.outside import BORROW_WITHIN_S
from native_routes.reader import Reader
from tests.native_routes.asking import StoppedClock


@dataclass(frozen=True)
class Listening:
    logs_path: Path
    host: str = "localhost"
    listen_host: str = "::1"


@dataclass
class Context:
    home_path: Path
    reader: Reader
    told: dict[bytes, Mapping[str, Any]] = field(default_factory=dict)
    policy: AuthPolicy = field(default_factory=AuthPolicy)
    environment: dict[str, str] = field(default_factory=dict)
    clock: StoppedClock = field(default_factory=StoppedClock)
    borrowed: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.daemon_log = DaemonLog(self.home_path / ".daemon" / "logs", self.clock)

    @property
    def settings(self) -> Listening:
        return Listening(self.home_path / ".daemon" / "logs")

    async def config(self) -> MemoryConfig:
        return await MemoryConfigFile(self.home_path).read()

    async def borrow(self, target: bytes, within_s: float = BORROW_WITHIN_S) -> Mapping[str, Any] | None:
        self.borrowed.append(target)
        return self.told.get(target)

    def auth(self) -> AuthPolicy:
        return self.policy

    def vitals(self) -> Vitals:
        return Vitals(
            uptime_s=12.5,
            pid=4321,
            version="0.58.1",
            port=3850,
            agents_dir=str(self.home_path),
            db=True,
            update_available=False,
            pending_restart=False,
            proxy_version="0",
            legacy_state="ready",
        )

    def configure(self, text: str, name: str = "agent.yaml") -> None:
        (self.home_path / name).write_text(text)


@asynccontextmanager
async def context_for(home_path: Path) -> AsyncIterator[Context]:
    """A context that reads `memory/memories.db` below `home_path`."""
    reader = Reader(home_path / "memory" / "memories.db", threads=2)
    try:
        yield Context(home_path, reader)
    finally:
        await reader.close()
