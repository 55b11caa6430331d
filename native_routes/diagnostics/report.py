"""The report over all domains, which is kept for two seconds and shared by whoever shows health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from native_routes.database import Connection
from native_routes.diagnostics.domains import read_domains
from native_routes.diagnostics.predictor import (
    DISABLED,
    Sidecar,
    Training,
    predictor_domain,
    read_state,
    read_training,
)
from native_routes.diagnostics.score import Domain, scored, status_of, within_bounds
from native_routes.diagnostics.update import told_update, unchecked_update
from native_routes.javascript.dates import iso_text
from native_routes.kept_state import kept
from native_routes.memory_config import MemoryConfig
from native_routes.outside import BORROW_WITHIN_S, Clock
from native_routes.reader import Reader
from native_routes.startup_config import startup_config

KEPT_MS: Final = 2000
WEIGHTS: Final[Mapping[str, float]] = {
    "queue": 0.25,
    "storage": 0.10,
    "index": 0.15,
    "provider": 0.22,
    "mutation": 0.08,
    "duplicate": 0.04,
    "connector": 0.05,
    "update": 0.11,
}
PREDICTOR_WEIGHT: Final = 0.05  # taken from the others where the predictor is on
# Legacy counts the outcomes of its providers nowhere.
PROVIDER: Final[Domain] = scored(
    1.0, recentTotal=0, recentSuccesses=0, recentFailures=0, recentTimeouts=0, availabilityRate=1
)
Report = dict[str, Any]


class Context(Protocol):
    """What a report needs. `config` and `borrow` are `MemoryConfigFile.read` and `Legacy.borrow`."""

    @property
    def home_path(self) -> Path: ...
    @property
    def reader(self) -> Reader: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def config(self) -> Callable[[], Awaitable[MemoryConfig]]: ...
    async def borrow(self, target: bytes, within_s: float = BORROW_WITHIN_S) -> Mapping[str, Any] | None: ...


async def current_report(context: Context) -> Report:
    """Legacy's keys in its order; callers share it and must not change it. Raises DatabaseError."""
    return await kept(context.reader, _Kept).report(context)


class _Kept:
    """The last report, and the next one while it is made: requests that come together get the same."""

    def __init__(self) -> None:
        self._report: Report | None = None
        self._until_ms = 0
        self._under_way: asyncio.Future[Report] | None = None

    async def report(self, context: Context) -> Report:
        now_ms = context.clock.now_ms()
        if self._report is not None and self._until_ms > now_ms:
            return self._report
        if self._under_way is None:
            self._under_way = asyncio.ensure_future(self._make(context, now_ms))
            self._under_way.add_done_callback(self._made)
        return await asyncio.shield(self._under_way)  # a caller that leaves must not take it from the others

    async def _make(self, context: Context, now_ms: int) -> Report:
        report = await make_report(context)
        self._report, self._until_ms = report, now_ms + KEPT_MS
        return report

    def _made(self, made: asyncio.Future[Report]) -> None:
        self._under_way = None
        if not made.cancelled():
            made.exception()  # seen, also when every caller has left


async def make_report(context: Context) -> Report:
    """A new one. Raises DatabaseError."""
    config, told, started = await asyncio.gather(
        context.config(),
        context.borrow(b"/api/diagnostics"),
        startup_config(context.reader, context.home_path, context.environment),
    )
    settings = config.pipeline["predictor"]
    window = settings["driftResetWindow"] if settings["enabled"] else None
    now_ms = context.clock.now_ms()
    domains, training = await context.reader.run(_read, now_ms, window)
    domains["provider"] = PROVIDER
    domains["update"] = told_update(told) or unchecked_update(auto_install=started.updates.auto_install)
    predictor = DISABLED if training is None else await _predictor(context, settings, told, training)
    return {
        "timestamp": iso_text(context.clock.now_ms()),
        "composite": _composite(domains, predictor),
        **{name: domains[name] for name in WEIGHTS},
        "predictor": predictor,
    }


def _read(connection: Connection, now_ms: int, window: float | None) -> tuple[dict[str, Domain], Training | None]:
    return read_domains(connection, now_ms), None if window is None else read_training(connection, window)


async def _predictor(
    context: Context, settings: Mapping[str, Any], told: Mapping[str, Any] | None, training: Training
) -> Domain:
    sidecar = Sidecar.told(told, None)
    if sidecar.alive:  # how fast it is counts only then
        sidecar = Sidecar.told(told, await context.borrow(b"/api/analytics/latency"))
    return predictor_domain(settings, sidecar, await asyncio.to_thread(read_state, context.home_path), training)


def _composite(domains: Mapping[str, Domain], predictor: Domain) -> Domain:
    """The weighted sum, added up in legacy's order: the last digits show."""
    enabled = predictor["status"] != "disabled"
    scale = 1 - PREDICTOR_WEIGHT if enabled else 1
    total = 0.0
    for name, weight in WEIGHTS.items():
        total += domains[name]["score"] * weight * scale
    total = within_bounds(total + (predictor["score"] * PREDICTOR_WEIGHT if enabled else 0))
    return {"score": total, "status": status_of(total)}
