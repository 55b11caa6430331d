"""What is known about the legacy daemon, and what the rest of the proxy may ask of whoever looks after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from native_routes import contract

Kind = Literal["signet", "stand-in", "attached"]


class LegacyState(StrEnum):
    STARTING = "starting"  # no child yet, or one that is not ready; includes the pause before a restart
    READY = "ready"
    BUSY = "busy"  # alive but slow: requests are forwarded and wait
    WEDGED = "wedged"  # neither answers nor makes progress; killed when the grace window is over
    DOWN = "down"  # not running, and not about to; `reason` says what to do


@dataclass(frozen=True, slots=True)
class Death:
    """How a child ended. Exactly one of `code` and `signal` is set; sizes in bytes, `at` is Unix time.

    `peak_rss_bytes` is the kernel's figure for the process and what it waited for; `last_rss_bytes` was seen at the
    last look, None when there was none. `last_output` are its last lines on stdout and stderr.
    """

    pid: int
    at: float
    code: int | None
    signal: str | None
    uptime_s: float
    peak_rss_bytes: int
    last_rss_bytes: int | None
    requested: bool
    last_output: tuple[str, ...] = ()

    def __str__(self) -> str:
        how = f"killed by {self.signal}" if self.signal else f"exit code {self.code}"
        return f"process {self.pid}: {how} after {self.uptime_s:.1f} s"


@dataclass(frozen=True, slots=True)
class LegacyStatus:
    """One consistent view; replaced as a whole at every change. `since` is the Unix time of the last change of state.

    `lock_visible`: the daemon was seen to hold its lock on the database; without it native answers stay capped.
    `schema_version`: highest migration applied, None when unknown; then `database_problem` may say why.
    `restarts` counts boots after the first, planned ones (after a migration) not included.
    """

    state: LegacyState
    kind: Kind
    host: str
    port: int
    since: float
    reason: str | None = None
    pid: int | None = None
    version: str | None = None
    agents_dir: str | None = None
    update_available: bool = False  # as its /health said last: only its memory knows
    pending_restart: bool = False
    schema_version: int | None = None
    database_problem: str | None = None
    lock_visible: bool = False
    restarts: int = 0
    last_death: Death | None = None
    daemon_path: str | None = None

    @property
    def speaks_contract(self) -> bool:
        """False for every version but the pinned one: such a legacy is forwarded to and never answered for."""
        return self.version == contract.VERSION


Listener = Callable[[LegacyStatus], None]


class Legacy(Protocol):
    """Implemented by SupervisedLegacy and AttachedLegacy."""

    @property
    def status(self) -> LegacyStatus: ...

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect; the port may change from boot to boot."""
        ...

    async def start(self) -> None:
        """Returns at once; the daemon boots in the background."""
        ...

    async def stop(self, within_s: float) -> None:
        """End it, by force when `within_s` is over. Idempotent; may be called at any time after construction."""
        ...

    def accepts(self) -> bool:
        """Requests may be forwarded now."""
        ...

    async def wait_accepting(self, within_s: float) -> bool:
        """True as soon as requests may be forwarded; False when the time is over or legacy is down for good."""
        ...

    def subscribe(self, callback: Listener) -> None:
        """Call `callback` on the event loop after every change of the status, in order."""
        ...

    def note_failure(self) -> None:
        """A connection failed: look now instead of at the next turn."""
        ...
