"""A text that is too long for one memory: a memory for each piece of it, all linked to an entity of their own."""

from __future__ import annotations

from functools import partial
from typing import Final

from native_routes.changing import ingest
from native_routes.changing.content import normalize
from native_routes.changing.ingest import BY_CONTENT, NewMemory
from native_routes.changing.prefixes import infer_type
from native_routes.daemon_log import error_text
from native_routes.database import Connection, DatabaseError
from native_routes.memory_config import MemoryConfig
from native_routes.outside import new_id, now_text
from native_routes.query import Command
from native_routes.remember.one_memory import PIECE, UNSAVED, finish
from native_routes.remember.services import Context
from native_routes.remember.wish import Wish

CREATE_GROUP: Final = Command(
    """
    INSERT INTO entities (id, name, canonical_name, entity_type, agent_id, mentions, created_at, updated_at)
    VALUES (:id, :name, :name, 'chunk_group', 'default', 0, :now, :now)
    """
)
LINK: Final = Command(
    """
    INSERT OR IGNORE INTO memory_entity_mentions (memory_id, entity_id, mention_text, confidence, created_at)
    VALUES (:memory_id, :group_id, 'chunk', 1.0, :now)
    """
)


class NoGroupError(Exception):
    """Nothing was stored; the cause says why."""


async def remember_long(context: Context, chunks: list[str], wish: Wish, config: MemoryConfig) -> tuple[str, list[str]]:
    """The group's id and those of the pieces stored; a piece that is known already, or fails, is left out.

    Raises NoGroupError. Legacy: the group is made even when no piece is stored, and the wish's source is not kept.
    """
    group_id, now = new_id(), now_text(context.clock)
    create = partial(CREATE_GROUP.run, id=group_id, name=f"chunk-group:{group_id}", now=now)
    try:
        await context.writer.run(create)
    except DatabaseError as error:
        context.daemon_log.error("memory", "Failed to create chunk group entity", error)
        raise NoGroupError from error
    ids = []
    for chunk in chunks:  # one after the other: so the embedder is asked for them
        memory = _chunk_memory(chunk, wish, group_id, now, config)
        if memory is not None and await _remember_chunk(context, memory, config):
            ids.append(memory.id)
    context.daemon_log.info("memory", "Chunked memory saved", {"groupId": group_id, "chunkCount": len(ids)})
    return group_id, ids


def _chunk_memory(chunk: str, wish: Wish, group_id: str, now: str, config: MemoryConfig) -> NewMemory | None:
    content = normalize(chunk)
    if not content.storage:
        return None
    return NewMemory(
        id=new_id(),
        content=content,
        type=infer_type(chunk),
        who=wish.who,
        project=wish.project,
        importance=wish.importance,
        tags=wish.tags,
        pinned=wish.pinned,
        source_type="chunk",
        source_id=group_id,
        created_at=now,
        waits_for_extraction=config.pipeline["enabled"],
    )


async def _remember_chunk(context: Context, memory: NewMemory, config: MemoryConfig) -> bool:
    try:
        stored = await context.writer.run(partial(_store_chunk, memory=memory))
    except UNSAVED as error:
        told = {"chunkId": memory.id, "error": error_text(error)}
        context.daemon_log.warn("memory", "Failed to save chunk", told)
        return False
    if stored:
        await finish(context, memory, config.embedding, PIECE)
    return stored


def _store_chunk(connection: Connection, memory: NewMemory) -> bool:
    """False when a memory that is not forgotten has this content."""
    if BY_CONTENT.one(connection, content_hash=memory.content.hash) is not None:
        return False
    ingest.insert(connection, memory)
    LINK.run(connection, memory_id=memory.id, group_id=memory.source_id, now=memory.created_at)
    return True
