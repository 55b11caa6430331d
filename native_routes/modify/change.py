"""One memory changed, inside the caller's transaction: its row, its vector, and what history keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from native_routes.changing.content import NormalContent
from native_routes.changing.memory_history import Mutation, record
from native_routes.changing.memory_vectors import index_vector, unindex_other_vectors
from native_routes.changing.memory_version import is_other_version, next_version
from native_routes.database import Connection
from native_routes.javascript.primitives import undefined
from native_routes.javascript.values import bindable
from native_routes.modify import queries
from native_routes.modify.patch import FIELDS, Patch
from native_routes.outside import new_id
from native_routes.stored_values import as_json

Status = Literal["not_found", "deleted", "version_conflict", "duplicate_content_hash", "no_changes", "updated"]


@dataclass(frozen=True, slots=True)
class NewVector:
    """What the embedder made of the new content: 32-bit floats, of whatever length it sent."""

    data: bytes
    dimensions: int
    model: Any  # as configured


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody wants of one memory; `vector` None: no new content, or no vector of it."""

    memory_id: str
    patch: Patch
    vector: NewVector | None
    mutation: Mutation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change; `undefined` where there is nothing to tell."""

    status: Status
    current_version: Any = undefined  # before the change
    new_version: Any = undefined
    duplicate_id: Any = undefined
    content_changed: Any = undefined


def change_memory(connection: Connection, change: Change) -> Outcome:
    """Raises THROWS: for an actor without a name, a model's name that is no text, a table that lacks a column."""
    patch, mutation = change.patch, change.mutation
    memory = queries.MEMORY.one(connection, id=bindable(change.memory_id))
    if memory is None:
        return Outcome("not_found")
    version = as_json(memory.version)
    if memory.is_deleted == 1:
        return Outcome("deleted", version)
    if is_other_version(memory.version, mutation.if_version):
        return Outcome("version_conflict", version)
    changed = _changed_fields(memory, patch)
    content = patch.content if "content" in changed else None
    if content is not None:
        duplicate = queries.DUPLICATE.one(connection, id=bindable(change.memory_id), content_hash=content.hash)
        if duplicate is not None:
            return Outcome("duplicate_content_hash", version, duplicate_id=as_json(duplicate.id))
    if not changed:
        return Outcome("no_changes", version)
    _change_row(connection, change, changed)
    if content is not None:
        _replace_vector(connection, change, content)
    record(
        connection,
        change.memory_id,
        "updated",
        mutation,
        old_content=memory.content,
        new_content=memory.content if content is None else content.storage,
        metadata={"changedFields": changed, "ifVersion": mutation.if_version, "contentChanged": content is not None},
    )
    return Outcome("updated", version, next_version(memory.version), content_changed=content is not None)


def _changed_fields(memory: queries.Memory, patch: Patch) -> list[str]:
    """Named fields whose new value is another one, in the order of FIELDS; 0.5 differs from "0.5", 0 from NULL."""
    new = {
        "content": patch.content.storage if patch.content else None,
        "type": patch.type,
        "tags": patch.tags,
        "importance": patch.importance,
        "pinned": patch.pinned,
    }
    return [field for field in FIELDS if field in patch.named and getattr(memory, field) != new[field]]


def _change_row(connection: Connection, change: Change, changed: list[str]) -> None:
    patch, content, vector = change.patch, change.patch.content, change.vector
    queries.CHANGE.run(
        connection,
        id=bindable(change.memory_id),
        new_content="content" in changed,
        content=bindable(content.storage if content else None),
        normalized_content=bindable(content.normalized if content else None),
        content_hash=content.hash if content else None,
        embedding_model=bindable(vector.model) if vector and vector.dimensions and "content" in changed else None,
        new_type="type" in changed,
        type=bindable(patch.type),
        new_tags="tags" in changed,
        tags=bindable(patch.tags),
        new_importance="importance" in changed,
        importance=bindable(patch.importance),
        new_pinned="pinned" in changed,
        pinned=patch.pinned,
        at=change.mutation.at,
        changed_by=bindable(change.mutation.actor.changed_by),
    )


def _replace_vector(connection: Connection, change: Change, content: NormalContent) -> None:
    """The vector of the old content goes, also when there is no new one.

    Legacy: where a vector of this content is there already, that row keeps its id, and the new vector is indexed under
    an id that no row has.
    """
    vector, memory_id = change.vector, bindable(change.memory_id)
    unindex_other_vectors(connection, "memory", change.memory_id, content.hash)
    queries.DROP_OTHER_EMBEDDINGS.run(connection, memory_id=memory_id, content_hash=content.hash)
    if vector is None or not vector.dimensions:
        return
    embedding_id = new_id()
    queries.PUT_EMBEDDING.run(
        connection,
        id=embedding_id,
        content_hash=content.hash,
        vector=vector.data,
        dimensions=vector.dimensions,
        memory_id=memory_id,
        content=bindable(content.storage),
        at=change.mutation.at,
    )
    index_vector(connection, embedding_id, vector.data)
