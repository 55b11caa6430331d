"""One memory, from the wish to the row, its vector and its job. What fails after the row is there does not undo it."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Final

from native_routes.changing import ingest
from native_routes.changing.content import normalize
from native_routes.changing.ingest import GIVE_UP_EXTRACTION, KnownMemory, NewJob, NewMemory, NewVector
from native_routes.changing.prefixes import infer_type
from native_routes.database import DatabaseError
from native_routes.javascript.values import UnbindableError
from native_routes.memory_config import EmbeddingConfig, MemoryConfig
from native_routes.outside import new_id, now_text
from native_routes.remember.services import Context
from native_routes.remember.wish import Wish

UNSAVED: Final = (DatabaseError, UnbindableError)


class NotSavedError(Exception):
    """Nothing was stored; the cause says why."""


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
    embedded = await finish(context, memory, config.embedding)
    told = {"id": memory.id, "type": memory.type, "pinned": memory.pinned, "embedded": embedded}
    context.daemon_log.info("memory", "Memory saved", told)
    return memory, embedded


async def finish(context: Context, memory: NewMemory, embedding: EmbeddingConfig) -> bool:
    """Embed a stored memory and hand it to the pipeline; whether it has a vector now."""
    vector = await _vector(context, memory, embedding)
    if vector is None:
        if memory.waits_for_extraction:
            await _enqueue(context, memory)
        return False
    if not memory.waits_for_extraction:
        return await _keep_vector(context, memory, vector, embedding)
    # Side by side, so that they may share a transaction; the writer takes them in this order.
    kept, _ = await asyncio.gather(_keep_vector(context, memory, vector, embedding), _enqueue(context, memory))
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


async def _keep_vector(context: Context, memory: NewMemory, vector: bytes, embedding: EmbeddingConfig) -> bool:
    new = NewVector(memory, vector, embedding.model)
    try:
        await context.writer.run_together(ingest.keep_vectors_all, new)
    except UNSAVED as error:
        told = {"id": memory.id, "error": f"{type(error).__name__}: {error}"}
        context.daemon_log.warn("memory", "Embedding failed (memory saved without vector)", told)
        return False
    return True


async def _enqueue(context: Context, memory: NewMemory) -> bool:
    job = NewJob(memory.id, now_text(context.clock))
    try:
        await context.writer.run_together(ingest.enqueue_extraction_all, job)
    except DatabaseError as error:
        told = {"memoryId": memory.id, "error": f"{type(error).__name__}: {error}"}
        context.daemon_log.warn("pipeline", "Failed to enqueue extraction job", told)
        with contextlib.suppress(DatabaseError):
            await context.writer.run(partial(GIVE_UP_EXTRACTION.run, memory_id=memory.id))
        return False
    return True
