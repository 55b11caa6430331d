"""The routes: what a request wants stored, and the shape of the reply."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from native_routes.changing.ingest import KnownMemory
from native_routes.changing.sentence_chunks import sentence_chunks
from native_routes.declaration import NativeRequest
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import stringify
from native_routes.javascript.values import truthy, utf16_length
from native_routes.memory_config import MemoryConfig
from native_routes.remember.long_text import NoGroupError, remember_long
from native_routes.remember.one_memory import NotSavedError, remember_one
from native_routes.remember.services import Context
from native_routes.remember.wish import NotTextError, Wish, read_content, read_wish
from native_routes.reply import UNCAUGHT, Refusal, Reply, json_reply
from native_routes.request_body import read_json
from native_routes.stored_values import as_json

CHUNKED_AT_ONCE: Final = 100_000  # characters


async def remember(request: NativeRequest) -> Reply:
    """Store a text as a memory, or find it stored. Legacy: POST /api/memory/remember."""
    try:
        body = await read_json(request)
    except ValueError:
        raise Refusal(400, "Invalid JSON body") from None
    return await _remember(request.context, body)


async def save(request: NativeRequest) -> Reply:
    """The same; a body that is no JSON counts as an empty one.

    Legacy posts the body, written anew, to itself, without the caller's token: in team mode it refuses itself.
    Differs: whoever may remember may also save.
    """
    try:
        body = parse_json(stringify(await read_json(request)))  # what is infinite becomes null on the way
    except ValueError:
        body = {}
    return await _remember(request.context, body)


async def _remember(context: Context, body: Any) -> Reply:
    try:
        content = read_content(body)
        if not content:
            raise Refusal(400, "content is required")
        config = await context.config()
        if config.pipeline["mutationsFrozen"]:
            raise Refusal(503, "Mutations are frozen (kill switch active)")
        context.embedder.leave_to_legacy(config.embedding)
        guardrails = config.pipeline["guardrails"]
        if not _is_longer(content, guardrails["maxContentChars"]):
            return await _remember_whole(context, read_wish(body, content), config)
        chunks = await _chunks(content, guardrails["chunkTargetChars"])
        if not chunks:
            raise Refusal(400, "content produced no valid chunks")
        return await _remember_chunks(context, chunks, read_wish(body, content), config)
    except NotTextError:
        return UNCAUGHT


def _is_longer(content: str, limit: float) -> bool:
    return len(content) > limit or utf16_length(content) > limit


async def _chunks(content: str, target: float) -> list[str]:
    """In a thread when the text is long: one of 10 MB takes a second."""
    if len(content) <= CHUNKED_AT_ONCE:
        return sentence_chunks(content, target)
    return await asyncio.to_thread(sentence_chunks, content, target)


async def _remember_whole(context: Context, wish: Wish, config: MemoryConfig) -> Reply:
    try:
        stored = await remember_one(context, wish, config)
    except NotSavedError:
        raise Refusal(500, "Failed to save memory") from None
    if stored is None:
        raise Refusal(400, "content is required")
    if isinstance(stored, KnownMemory):
        return json_reply(
            {
                "id": as_json(stored.id),
                "type": as_json(stored.type),
                "tags": as_json(stored.tags) if truthy(stored.tags) else "",
                "pinned": truthy(stored.pinned),
                "importance": as_json(stored.importance),
                "content": as_json(stored.content),
                "embedded": True,
                "deduped": True,
            }
        )
    memory, embedded = stored
    return json_reply(
        {
            "id": memory.id,
            "type": memory.type,
            "tags": memory.tags,
            "pinned": memory.pinned,
            "importance": memory.importance,
            "content": memory.content.storage,
            "embedded": embedded,
        }
    )


async def _remember_chunks(context: Context, chunks: list[str], wish: Wish, config: MemoryConfig) -> Reply:
    """The pieces that were not there yet; forgotten ones are stored anew."""
    try:
        group_id, ids = await remember_long(context, chunks, wish, config)
    except NoGroupError:
        raise Refusal(500, "Failed to create chunk group") from None
    return json_reply({"chunked": True, "chunk_count": len(ids), "ids": ids, "group_id": group_id})
