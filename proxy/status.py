"""The proxy's own pages: `/_proxy/status`, `/_proxy/metrics`, `/_proxy/cutover`. Who may see them, `app.py` decides."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from native_routes import GROUPS
from native_routes.reply import Refusal, Reply, json_reply
from proxy import __version__
from proxy.comparisons import Verdict
from proxy.counters import Labels, family, gauge, sample
from proxy.cutover import CutoverError, GroupMode, Mode
from proxy.desired_modes import DesiredModesError
from proxy.legacy.status import LegacyState, LegacyStatus
from proxy.services import Services
from proxy.timestamps import iso_utc

BODY_BYTES_LIMIT = 65_536
SHOWN = 100  # comparisons
ReadBody = Callable[[int], Awaitable[bytes]]
ACTIONS = 'expected {"action": "set", "groups": [...], "mode": "legacy|shadow|native"}, {"action": "freeze", ' \
    '"groups": [...], "reason": "..."} or {"action": "lift", "groups": [...]}'  # fmt: skip


async def own_page(services: Services, method: str, path: str, read_body: ReadBody) -> Reply:
    """The reply for a path below `/_proxy/`. Raises Refusal (404, 405, 400, 409)."""
    page = PAGES.get(path)
    if page is None:
        raise Refusal(404, f"no such page; there are {', '.join(PAGES)}")
    handler = page.get("GET" if method == "HEAD" else method)
    if handler is None:
        allow = ", ".join(page)
        raise Refusal(405, f"{path} answers {allow}", ((b"allow", allow.encode()),))
    return await handler(services, read_body)


async def _status(services: Services, read_body: ReadBody) -> Reply:
    return json_reply(await status_document(services))


async def status_document(services: Services) -> dict[str, Any]:
    settings, counters = services.settings, services.counters
    return {
        "proxy": {
            "version": __version__,
            "pid": os.getpid(),
            "uptime_s": round(services.uptime_s, 3),
            "started_at": iso_utc(services.started_at),
            "listening": list(services.listening),
            "home": str(settings.home_path),
            "logs": str(settings.logs_path),
            "auth_mode": services.auth().mode,
        },
        "legacy": await _legacy(services),
        "cutover": _cutover_document(services),
        "degraded": [asdict(finding) for finding in services.degraded()],
        "borrowed": [asdict(loan) for loan in services.borrower.borrowed()],
        "embedder": services.embedder_document(),
        "vectors": services.vectors_document(),
        "writes": {"waiting": services.writer.waiting, **asdict(services.writer.counts)},
        "shadow": {"share": settings.shadow_share, "groups": services.tally.document()},
        "counters": {
            "replies": counters.totals(),
            "failures": dict(counters.failures),
            "native_faults": [
                {"group": group, "what": what, "n": n} for (group, what), n in services.tally.faults.items()
            ],
            "in_flight": counters.in_flight,
            "journal_losses": services.journal.health.lost,
        },
    }


async def _legacy(services: Services) -> dict[str, Any]:
    status = services.legacy.status
    return {
        "state": status.state.value,
        "reason": status.reason,
        "since": iso_utc(status.since),
        "kind": status.kind,
        "daemon": status.daemon_path,
        "address": f"{status.host}:{status.port}",
        "pid": status.pid,
        "version": status.version,
        "agents_dir": status.agents_dir,
        "schema_version": status.schema_version,
        "database_problem": status.database_problem,
        "lock_visible": status.lock_visible,
        "restarts": status.restarts,
        "last_death": await _last_death(services, status),
    }


async def _last_death(services: Services, status: LegacyStatus) -> dict[str, Any] | None:
    """The last recorded end of a child, also of an earlier run of the proxy."""
    if status.last_death is not None:
        return {**asdict(status.last_death), "at": iso_utc(status.last_death.at)}
    recorded = await services.journal.recent("death", 1)
    if not recorded:
        return None
    return {**recorded[0], "at": iso_utc(recorded[0]["at"])}


async def _cutover(services: Services, read_body: ReadBody) -> Reply:
    return json_reply(_cutover_document(services))


def _cutover_document(services: Services) -> dict[str, Any]:
    cutover = services.cutover
    return {
        "file": str(services.settings.daemon_dir_path / "cutover.yaml"),
        "problem": cutover.problem.text if cutover.problem else None,
        "groups": [_row(row) for row in cutover.explain()],
    }


def _row(row: GroupMode) -> dict[str, Any]:
    return {
        "group": row.group,
        "answered_by": "native" if row.effective is Mode.NATIVE else "legacy",
        "effective": row.effective.word,
        "desired": row.desired.word,
        "cap": row.cap.word,
        "frozen": row.frozen,
        "reason": row.reason,
        "held_by": row.hold or None,
        "phase": row.phase,
        "moves_with": list(row.moves_with),
    }


async def _change_cutover(services: Services, read_body: ReadBody) -> Reply:
    """Carries out one action and returns the rows of all groups that it moved."""
    action, groups, rest = _asked(await read_body(BODY_BYTES_LIMIT))
    backup = await _backup_before(services, action, groups, rest)
    try:
        if action == "set":
            rows = await services.cutover.set(groups, Mode.of(str(rest.get("mode"))))
        elif action == "freeze":
            rows = await services.cutover.freeze(groups, str(rest.get("reason") or "frozen by the operator"))
        else:
            rows = await services.cutover.lift(groups)
    except DesiredModesError as error:
        raise Refusal(400, str(error)) from error
    except CutoverError as error:
        raise Refusal(409, str(error)) from error
    return json_reply({"groups": [_row(row) for row in rows], "backup": backup})


async def _backup_before(services: Services, action: str, groups: list[str], rest: dict[str, Any]) -> str | None:
    """Before groups that write are answered natively for the first time since they were not, a backup is made."""
    if action != "set" or rest.get("mode") != Mode.NATIVE.word or rest.get("backup") is False:
        return None
    named = {row.group: row for row in services.cutover.explain()}
    moved = {member for name in groups if name in named for member in (name, *named[name].moves_with)}
    writes = {group.name for group in GROUPS if group.writes}
    if not any(name in writes and named[name].desired is not Mode.NATIVE for name in moved):
        return None
    if not services.settings.database_path.is_file():
        return None
    try:
        return await _made_backup(services, None)
    except Refusal as refusal:
        fix = 'mend that, or send "backup": false (`--no-backup`)'
        raise Refusal(409, f"no backup could be made before native writes: {refusal.error}; {fix}") from refusal


def _asked(body: bytes) -> tuple[str, list[str], dict[str, Any]]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or values.get("action") not in {"set", "freeze", "lift"}:
        raise Refusal(400, ACTIONS)
    groups = values.get("groups")
    if not isinstance(groups, list) or not groups or not all(isinstance(name, str) for name in groups):
        raise Refusal(400, ACTIONS)
    return values["action"], groups, values


async def _back_up(services: Services, read_body: ReadBody) -> Reply:
    """Makes a backup and returns its path; one at a time. Who names another home has asked the wrong proxy."""
    body = await read_body(BODY_BYTES_LIMIT)
    folder, home = _path(body, "folder"), _path(body, "home")
    if home is not None and not await asyncio.to_thread(_is_same, home, services.home_path):
        raise Refusal(409, f"this proxy serves {services.home_path}, not {home}; set SIGNET_PORT to that of the other")
    return json_reply({"path": await _made_backup(services, folder)})


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


async def _made_backup(services: Services, folder: Path | None) -> str:
    from proxy.backup.make import default_folder, make_backup  # 5 ms of modules, which few ever need
    from proxy.backup.manifest import BackupError

    if services.backup_lock.locked():
        raise Refusal(409, "a backup is being made already")
    home = services.home_path
    async with services.backup_lock:
        try:
            path = await make_backup(home, folder or default_folder(home), services.secrets_lock)
        except BackupError as error:
            raise Refusal(409, str(error)) from error
    services.journal.record("backup_made", path=str(path))
    return str(path)


def _path(body: bytes, name: str) -> Path | None:
    try:
        path = json.loads(body).get(name)
    except (ValueError, RecursionError, AttributeError):
        raise Refusal(400, 'expected {"folder": "/absolute/path"}, or null for the usual one') from None
    if path is None:
        return None
    if not isinstance(path, str) or not Path(path).is_absolute() or "\0" in path or not _has_octets(path):
        raise Refusal(400, f"{path!r} is no absolute path")
    return Path(path)


def _has_octets(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


async def _comparisons(services: Services, read_body: ReadBody) -> Reply:
    """Numbers since the start; from the journal, the newest comparisons and the newest that differ, newest first."""
    journal = services.journal
    return json_reply(
        {
            "share": services.settings.shadow_share,
            "groups": services.tally.document(),
            "differing": [_dated(row) for row in await journal.comparisons(SHOWN, verdict=Verdict.DIFFERS)],
            "newest": [_dated(row) for row in await journal.comparisons(SHOWN)],
        }
    )


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "at": iso_utc(row["at"])}


def _counter(name: str, meaning: str, samples: Iterable[tuple[Labels, int]]) -> Iterator[str]:
    yield from family(name, "counter", meaning)
    for labels, n in samples:
        yield sample(name, labels, n)


async def _metrics(services: Services, read_body: ReadBody) -> Reply:
    status, now = services.legacy.status, services.uptime_s
    rows = services.cutover.explain()
    lines = [
        *services.counters.expose(),
        *gauge("signet_proxy_uptime_seconds", "Time since the proxy started.", [({}, round(now, 3))]),
        *gauge(
            "signet_proxy_legacy_state",
            "1 for the state that the legacy daemon is in.",
            [({"state": state.value}, int(state is status.state)) for state in LegacyState],
        ),
        *gauge("signet_proxy_legacy_restarts", "Boots after the first.", [({}, status.restarts)]),
        *gauge(
            "signet_proxy_group_mode",
            "Effective mode: 0 legacy, 1 shadow, 2 native.",
            [({"group": row.group}, int(row.effective)) for row in rows],
        ),
        *gauge("signet_proxy_group_frozen", "1 = frozen.", [({"group": r.group}, int(r.frozen)) for r in rows]),
        *_counter(
            "signet_proxy_comparisons_total",
            "Native answers compared with legacy's in mode shadow, by verdict.",
            services.tally.samples(),
        ),
        *_counter(
            "signet_proxy_native_faults_total",
            "Native answers that did not come as they should.",
            [({"group": group, "what": what}, n) for (group, what), n in services.tally.faults.items()],
        ),
        *gauge("signet_proxy_degraded", "Components that are not as they should be.", [({}, len(services.degraded()))]),
        *gauge(
            "signet_proxy_journal_losses", "Journal records that were not kept.", [({}, services.journal.health.lost)]
        ),
    ]
    text = "\n".join(lines) + "\n"
    return Reply(200, text.encode(), ((b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),))


PAGES: dict[str, dict[str, Callable[[Services, ReadBody], Awaitable[Reply]]]] = {
    "/_proxy/status": {"GET": _status},
    "/_proxy/metrics": {"GET": _metrics},
    "/_proxy/comparisons": {"GET": _comparisons},
    "/_proxy/cutover": {"GET": _cutover, "POST": _change_cutover},
    "/_proxy/backup": {"POST": _back_up},
}
