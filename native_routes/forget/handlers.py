"""The three routes: what each request asks for, and the shape of its reply."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from native_routes.actor import actor_of
from native_routes.changing.memory_history import Mutation
from native_routes.changing.mutation_request import (
    THROWS,
    read_if_version,
    read_memory_id,
    read_reason,
    unfrozen,
)
from native_routes.database import Connection, StatementError
from native_routes.declaration import NativeRequest
from native_routes.forget.candidates import Candidate, Wanted, confirm_token, find_candidates, read_wanted
from native_routes.forget.forgetting import RETENTION_DAYS, Outcome, forget_memory, recover_memory
from native_routes.javascript.coercion import optional_bool, optional_text
from native_routes.javascript.dates import iso_text
from native_routes.javascript.json_object import read_object, read_optional_object
from native_routes.javascript.primitives import undefined
from native_routes.memory_config import MemoryConfig
from native_routes.outside import Clock, now_text
from native_routes.project_scope import check_project
from native_routes.query_string import query_parameter
from native_routes.reader import Reader
from native_routes.reply import UNCAUGHT, Refusal, Reply, json_reply
from native_routes.stored_values import as_json
from native_routes.writer import Writer

MOST_UNCONFIRMED: Final = 25
FORCE: Final = "force must be a boolean"
UNCONFIRMED: Final = "confirm_token is required for large forget operations; run preview first"
NO_IF_VERSION: Final = (
    "if_version is not supported for batch forget; use DELETE /api/memory/:id for version-guarded deletes"
)
REFUSED: Final[Mapping[str, tuple[int, Any]]] = {
    "not_found": (404, "Not found"),
    "already_deleted": (409, undefined),
    "version_conflict": (409, "Version conflict"),
    "pinned_requires_force": (409, "Pinned memories require force=true"),
    "autonomous_force_denied": (403, "Autonomous agents cannot force-delete pinned memories"),
    "not_deleted": (409, "Memory is not deleted"),
    "retention_expired": (409, f"Recover window expired ({RETENTION_DAYS} days)"),
}


class Context(Protocol):
    @property
    def reader(self) -> Reader: ...
    @property
    def writer(self) -> Writer: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def config(self) -> Callable[[], Awaitable[MemoryConfig]]: ...


async def recover(request: NativeRequest) -> Reply:
    """A forgotten memory brought back, within 30 days. Legacy: POST /api/memory/:id/recover, without a scope check."""
    context, target = _context(request), request.head.target
    payload = await read_optional_object(request)
    memory_id = read_memory_id(request)
    reason, if_version = read_reason(payload, target), read_if_version(payload, target)
    await unfrozen(context.config)
    now_ms = context.clock.now_ms()
    mutation = Mutation(actor_of(request, payload.get("changed_by")), reason, iso_text(now_ms), if_version)
    try:
        outcome = await context.writer.run(lambda connection: recover_memory(connection, memory_id, mutation, now_ms))
    except THROWS:
        return UNCAUGHT  # its content was stored anew, for one
    return _answer(memory_id, outcome, retentionDays=RETENTION_DAYS)


async def forget_one(request: NativeRequest) -> Reply:
    """One memory forgotten; an unusable `force` in the query counts as none. Legacy: DELETE /api/memory/:id."""
    context, target = _context(request), request.head.target
    await check_project(request, context.reader)
    payload = await read_optional_object(request)
    memory_id = read_memory_id(request)
    reason = read_reason(payload, target)
    of_body = _force(payload)
    force = optional_bool(query_parameter(target, "force")) if of_body is None else of_body
    if_version = read_if_version(payload, target)
    await unfrozen(context.config)
    mutation = Mutation(actor_of(request, payload.get("changed_by")), reason, now_text(context.clock), if_version)
    try:
        outcome = await context.writer.run(partial(_forget, memory_id, mutation, bool(force)))
    except THROWS:
        return UNCAUGHT
    return _answer(memory_id, outcome)


async def forget_many(request: NativeRequest) -> Reply:
    """Candidates shown, or forgotten; more than 25 only with the token that a preview gave.

    Legacy: POST /api/memory/forget. Differs: all in one transaction, so that a full disk leaves none forgotten.
    """
    context, payload = _context(request), await read_object(request)
    mode = optional_text(payload.get("mode")) or "preview"
    if mode not in ("preview", "execute"):
        raise Refusal(400, "mode must be preview or execute")
    wanted = read_wanted(payload)
    try:
        candidates = await context.reader.run(find_candidates, wanted)
    except StatementError:
        return UNCAUGHT  # legacy's statement throws too
    if mode == "preview":
        return json_reply(_preview(candidates))
    reason, force = _read_execution(payload)
    _check_confirmed(payload, candidates)
    await unfrozen(context.config)
    mutation = Mutation(actor_of(request, payload.get("changed_by")), reason, now_text(context.clock))
    try:
        results = await context.writer.run(partial(_forget_all, wanted, payload, mutation, force))
    except THROWS:
        return UNCAUGHT
    deleted = sum(result["status"] == "deleted" for result in results)
    return json_reply({"mode": "execute", "requested": len(results), "deleted": deleted, "results": results})


def _read_execution(payload: Mapping[str, Any]) -> tuple[str, bool]:
    """Reason and force. Refuses with 400."""
    reason = optional_text(payload.get("reason"))
    if reason is None:
        raise Refusal(400, "reason is required for execute mode")
    force = bool(_force(payload))
    if "if_version" in payload:
        raise Refusal(400, NO_IF_VERSION)
    return reason, force


def _check_confirmed(payload: Mapping[str, Any], candidates: list[Candidate]) -> None:
    """Refuses with 400, and with the token that would do."""
    if len(candidates) <= MOST_UNCONFIRMED:
        return
    token = confirm_token(candidates)
    if optional_text(payload.get("confirm_token")) != token:
        raise Refusal(400, UNCONFIRMED, requiresConfirm=True, confirmToken=token, count=len(candidates))


def _force(payload: Mapping[str, Any]) -> bool | None:
    force = optional_bool(payload.get("force"))
    if "force" in payload and force is None:
        raise Refusal(400, FORCE)
    return force


def _preview(candidates: list[Candidate]) -> dict[str, Any]:
    return {
        "mode": "preview",
        "count": len(candidates),
        "requiresConfirm": len(candidates) > MOST_UNCONFIRMED,
        "confirmToken": confirm_token(candidates),
        "candidates": [
            {
                "id": as_json(candidate.id),
                "score": math.floor(candidate.score * 1000 + 0.5) / 1000,
                "pinned": candidate.pinned == 1,
                "version": as_json(candidate.version),
            }
            for candidate in candidates
        ],
    }


def _forget(memory_id: str, mutation: Mutation, force: bool, connection: Connection) -> Outcome:
    return forget_memory(connection, memory_id, mutation, force=force)


def _forget_all(
    wanted: Wanted, payload: Mapping[str, Any], mutation: Mutation, force: bool, connection: Connection
) -> list[dict[str, Any]]:
    """The candidates as they are now that nobody else writes: between looking and forgetting, nothing happens."""
    candidates = find_candidates(connection, wanted)
    _check_confirmed(payload, candidates)
    outcomes = [forget_memory(connection, candidate.id, mutation, force=force) for candidate in candidates]
    return [_told(as_json(candidate.id), outcome) for candidate, outcome in zip(candidates, outcomes, strict=True)]


def _told(memory_id: Any, outcome: Outcome) -> dict[str, Any]:
    return {
        "id": memory_id,
        "status": outcome.status,
        "currentVersion": outcome.current_version,
        "newVersion": outcome.new_version,
    }


def _answer(memory_id: str, outcome: Outcome, **of_success: Any) -> Reply:
    if outcome.status in REFUSED:
        status, error = REFUSED[outcome.status]
        return json_reply({**_told(memory_id, outcome), "error": error}, status)
    return json_reply({**_told(memory_id, outcome), **of_success})


def _context(request: NativeRequest) -> Context:
    context: Context = request.context
    return context
