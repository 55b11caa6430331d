"""One memory forgotten or brought back, inside the caller's transaction. Words and vectors of a forgotten one stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from native_routes.changing.memory_history import Mutation, record
from native_routes.changing.memory_version import is_other_version, next_version
from native_routes.database import Connection
from native_routes.forget import queries
from native_routes.javascript.dates import parse_date
from native_routes.javascript.primitives import undefined
from native_routes.javascript.values import bindable
from native_routes.stored_values import as_json, bytes_text

RETENTION_DAYS: Final = 30
RETENTION_MS: Final = RETENTION_DAYS * 86_400_000

Status = Literal[
    "not_found",
    "already_deleted",
    "version_conflict",
    "pinned_requires_force",
    "autonomous_force_denied",
    "deleted",
    "not_deleted",
    "retention_expired",
    "recovered",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request; `undefined` where there is nothing to tell."""

    status: Status
    current_version: Any = undefined  # before the change
    new_version: Any = undefined


def forget_memory(connection: Connection, memory_id: Any, mutation: Mutation, *, force: bool) -> Outcome:
    """Pinned memories need force, which a pipeline does not have. Raises ConstraintViolated for a nameless actor."""
    memory = queries.MEMORY.one(connection, id=bindable(memory_id))
    if memory is None:
        return Outcome("not_found")
    refused = _unforgettable(memory, mutation, force=force)
    if refused is not None:
        return Outcome(refused, as_json(memory.version))
    queries.FORGET.run(
        connection, id=bindable(memory_id), at=mutation.at, changed_by=bindable(mutation.actor.changed_by)
    )
    record(
        connection,
        memory_id,
        "deleted",
        mutation,
        old_content=memory.content,
        new_content=None,
        metadata={"force": force, "ifVersion": mutation.if_version},
    )
    return Outcome("deleted", as_json(memory.version), next_version(memory.version))


def _unforgettable(memory: queries.Memory, mutation: Mutation, *, force: bool) -> Status | None:
    if memory.is_deleted == 1:
        return "already_deleted"
    if is_other_version(memory.version, mutation.if_version):
        return "version_conflict"
    if memory.pinned != 1:
        return None
    if not force:
        return "pinned_requires_force"
    return "autonomous_force_denied" if mutation.actor.actor_type == "pipeline" else None


def recover_memory(connection: Connection, memory_id: str, mutation: Mutation, now_ms: int) -> Outcome:
    """Raises ConstraintViolated for a nameless actor, and when the same content has been stored anew meanwhile."""
    memory = queries.MEMORY.one(connection, id=bindable(memory_id))
    if memory is None:
        return Outcome("not_found")
    refused = _unrecoverable(memory, mutation, now_ms)
    if refused is not None:
        return Outcome(refused, as_json(memory.version))
    queries.RECOVER.run(
        connection, id=bindable(memory_id), at=mutation.at, changed_by=bindable(mutation.actor.changed_by)
    )
    record(
        connection,
        memory_id,
        "recovered",
        mutation,
        old_content=None,
        new_content=memory.content,
        metadata={"ifVersion": mutation.if_version, "retentionWindowMs": RETENTION_MS},
    )
    return Outcome("recovered", as_json(memory.version), next_version(memory.version))


def _unrecoverable(memory: queries.Memory, mutation: Mutation, now_ms: int) -> Status | None:
    if memory.is_deleted != 1:
        return "not_deleted"
    if is_other_version(memory.version, mutation.if_version):
        return "version_conflict"
    deleted_at = memory.deleted_at
    deleted_ms = parse_date(bytes_text(deleted_at) if isinstance(deleted_at, bytes) else deleted_at or "")
    if deleted_ms is None or now_ms - deleted_ms > RETENTION_MS:
        return "retention_expired"
    return None
