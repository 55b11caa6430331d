"""One memory, from the wish to the row, its vector and its job. What fails after the row is there does not undo it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from typing import Final

from native_routes.changing import ingest
from native_routes.changing.content import normalize
from native_routes.changing.ingest import GIVE_UP_EXTRACTION, KnownMemory, NewJob, NewMemory, NewVector
from native_routes.changing.prefixes import infer_type
from native_routes.daemon_log import error_text
from native_routes.database import DatabaseError
from native_routes.javascript.values import UnbindableError
from native_routes.memory_config import EmbeddingConfig, MemoryConfig
from native_routes.outside import new_id, now_text
from native_routes.remember.services import Context
from native_routes.remember.wish import Wish

UNSAVED: Final = (DatabaseError, UnbindableError)


class NotSavedError(Exception):
    """Nothing was stored; the cause says why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the log calls a memory that lacks its vector or its job, and whether its row tells of the missing job."""

    unembedded: tuple[str, str]  # message, and the key of the memory's id
    unqueued: tuple[str, str]
    gives_up_extraction: bool


WHOLE: Final = Kind(
    unembedded=("Embedding failed (memory saved without vector)", "id"),
    unqueued=("Failed to enqueue extraction job", "memoryId"),
    gives_up_extraction=True,
)
PIECE: Final = Kind(
    unembedded=("Chunk embedding failed (chunk saved without vector)", "chunkId"),
    unqueued=("Failed to enqueue chunk extraction", "chunkId"),
    gives_up_extraction=False,
)


async def remember_one(
    context: Context, wish: Wish, config: MemoryConfig
) -> KnownMemory | tuple[NewMemory, bool] | None:
    """The memory that was known before, or the new one and whether it has a vector; None when no content is left.

    Raises NotSavedError.
    """
    content = normalize(wish.content)
    if not content.storage:
        return None
    memory = NewMemory(
        id=new_id(),
        content=content,
        type=infer_type(wish.content),
        who=wish.who,
        project=wish.project,
        importance=wish.importance,
        tags=wish.tags,
        pinned=wish.pinned,
        source_type=wish.source_type,
        source_id=wish.source_id,
        created_at=now_text(context.clock),
        waits_for_extraction=config.pipeline["enabled"],
    )
    try:
        known = await context.writer.run_together(ingest.store_all, memory)
    except UNSAVED as error:
        context.daemon_log.error("memory", "Failed to save memory", error)
        raise NotSavedError from error
    if known is not None:
        return known
    config = await context.config()  # an edit counts at once
    embedded = await finish(context, memory, config.embedding, WHOLE)
    told = {"id": memory.id, "type": memory.type, "pinned": memory.pinned, "embedded": embedded}
    context.daemon_log.info("memory", "Memory saved", told)
    return memory, embedded


async def finish(context: Context, memory: NewMemory, embedding: EmbeddingConfig, kind: Kind) -> bool:
    """Embed a stored memory and hand it to the pipeline; whether it has a vector now."""
    vector = await _vector(context, memory, embedding)
    if vector is None:
        if memory.waits_for_extraction:
            await _enqueue(context, memory, kind)
        return False
    new = NewVector(memory, vector, embedding.model)
    if not memory.waits_for_extraction:
        return await _keep_vector(context, new, kind)
    # Side by side, so that they may share a transaction; the writer takes them in this order.
    kept, _ = await asyncio.gather(_keep_vector(context, new, kind), _enqueue(context, memory, kind))
    return kept


async def _vector(context: Context, memory: NewMemory, embedding: EmbeddingConfig) -> bytes | None:
    found = await context.embedder.embed(memory.content.storage, embedding)
    if found is None:
        return None
    if len(found) != embedding.dimensions:
        told = {"got": len(found), "expected": embedding.dimensions, "memoryId": memory.id}
        context.daemon_log.warn("memory", "Embedding dimension mismatch, skipping vector insert", told)
        return None
    return found.tobytes()


async def _keep_vector(context: Context, new: NewVector, kind: Kind) -> bool:
    try:
        await context.writer.run_together(ingest.keep_vectors_all, new)
    except UNSAVED as error:
        message, id_key = kind.unembedded
        context.daemon_log.warn("memory", message, {id_key: new.memory.id, "error": error_text(error)})
        return False
    return True


async def _enqueue(context: Context, memory: NewMemory, kind: Kind) -> None:
    job = NewJob(memory.id, now_text(context.clock))
    try:
        await context.writer.run_together(ingest.enqueue_extraction_all, job)
    except DatabaseError as error:
        message, id_key = kind.unqueued
        context.daemon_log.warn("pipeline", message, {id_key: memory.id, "error": error_text(error)})
        if kind.gives_up_extraction:
            with contextlib.suppress(DatabaseError):
                await context.writer.run(partial(GIVE_UP_EXTRACTION.run, memory_id=memory.id))
