"""What is kept of every change to a memory: who, when, why, and the content before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from native_routes.actor import Actor
from native_routes.database import Connection
from native_routes.javascript.primitives import stringify
from native_routes.javascript.values import bindable
from native_routes.outside import new_id
from native_routes.query import Command

Event = Literal["updated", "deleted", "recovered"]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change that somebody asks for. `if_version` None: whatever the version is."""

    actor: Actor
    reason: str
    at: str  # as JavaScript's toISOString()
    if_version: float | None = None


RECORD: Final = Command(
    """
    INSERT INTO memory_history (id, memory_id, event, old_content, new_content, changed_by, reason, metadata,
                                created_at, actor_type, session_id, request_id)
    VALUES (:id, :memory_id, :event, :old_content, :new_content, :changed_by, :reason, :metadata,
            :created_at, :actor_type, :session_id, :request_id)
    """
)


def record(
    connection: Connection,
    memory_id: str,
    event: Event,
    mutation: Mutation,
    *,
    old_content: Any,
    new_content: Any,
    metadata: Mapping[str, Any],
) -> None:
    """One more row. Contents are column values or text from a request; `metadata` is kept as JSON, in its order."""
    actor = mutation.actor
    RECORD.run(
        connection,
        id=new_id(),
        memory_id=bindable(memory_id),
        event=event,
        old_content=bindable(old_content),
        new_content=bindable(new_content),
        changed_by=bindable(actor.changed_by),
        reason=bindable(mutation.reason),
        metadata=bindable(stringify(metadata)),
        created_at=mutation.at,
        actor_type=bindable(actor.actor_type),
        session_id=bindable(actor.session_id),
        request_id=bindable(actor.request_id),
    )
