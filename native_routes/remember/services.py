"""What remembering needs of the running process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from native_routes.daemon_log import DaemonLog
from native_routes.memory_config import MemoryConfig
from native_routes.outside import Clock
from native_routes.searching.embedders import Embedder
from native_routes.writer import Writer


class Context(Protocol):
    @property
    def writer(self) -> Writer: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def config(self) -> Callable[[], Awaitable[MemoryConfig]]: ...
    @property
    def embedder(self) -> Embedder: ...
    @property
    def daemon_log(self) -> DaemonLog: ...
