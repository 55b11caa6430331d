"""The two routes: what each request asks for, and the shape of its reply."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from native_routes.actor import actor_of
from native_routes.changing.memory_history import Mutation
from native_routes.changing.mutation_request import (
    THROWS,
    read_if_version,
    read_memory_id,
    read_reason,
    unfrozen,
)
from native_routes.declaration import NativeRequest
from native_routes.javascript.coercion import optional_text
from native_routes.javascript.json_object import read_object
from native_routes.javascript.primitives import undefined
from native_routes.memory_config import EmbeddingConfig, MemoryConfig
from native_routes.modify.batch import Batch, read_entry, told
from native_routes.modify.change import Change, NewVector, change_memory
from native_routes.modify.patch import Patch, read_patch
from native_routes.outside import Clock, now_text
from native_routes.project_scope import check_project
from native_routes.reader import Reader
from native_routes.reply import UNCAUGHT, Refusal, Reply, json_reply
from native_routes.writer import Writer

if TYPE_CHECKING:
    from native_routes.searching.embedders import Embedder

MOST_PATCHES: Final = 200
EMBEDDERS: Final = "native_routes.searching.embedders"
_imported: Final[set[str]] = set()  # whole: `sys.modules` has also what is being imported
REFUSED: Final[Mapping[str, tuple[int, str]]] = {
    "not_found": (404, "Not found"),
    "deleted": (409, "Cannot modify deleted memory"),
    "version_conflict": (409, "Version conflict"),
    "duplicate_content_hash": (409, "Duplicate content hash"),
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
    @property
    def embedder(self) -> Embedder: ...


async def modify_memory(request: NativeRequest) -> Reply:
    """One memory changed. Legacy: PATCH /api/memory/:id."""
    context = _context(request)
    await check_project(request, context.reader)
    payload = await read_object(request)
    memory_id = read_memory_id(request)
    reason, if_version, patch = read_reason(payload), read_if_version(payload), read_patch(payload)
    config = await unfrozen(context.config)
    if _wants_vector(patch, config.embedding):
        (await _embedder(context)).leave_to_legacy(config.embedding)
    vector = await _embed(context, patch, config.embedding)
    mutation = Mutation(actor_of(request, payload.get("changed_by")), reason, now_text(context.clock), if_version)
    change = Change(memory_id, patch, vector, mutation)
    try:
        outcome = await context.writer.run(lambda connection: change_memory(connection, change))
    except THROWS:
        return UNCAUGHT
    status, error = REFUSED.get(outcome.status, (200, undefined))
    return json_reply({**told(change, outcome), "error": error}, status)


async def modify_memories(request: NativeRequest) -> Reply:
    """Up to 200 memories changed, one after the other. Legacy: POST /api/memory/modify.

    An entry that throws ends the request; those before it stay changed.
    """
    context, payload = _context(request), await read_object(request)
    entries = payload.get("patches")
    if not isinstance(entries, list) or not entries:
        raise Refusal(400, "patches[] is required")
    if len(entries) > MOST_PATCHES:
        raise Refusal(400, f"patches[] exceeds maximum batch size ({MOST_PATCHES})")
    config = await unfrozen(context.config)
    actor, at = actor_of(request, payload.get("changed_by")), now_text(context.clock)
    batch = Batch(context.writer)
    has_content = any(isinstance(entry, dict) and entry.get("content") is not None for entry in entries)
    if has_content and config.embedding.provider != "none":
        (await _embedder(context)).leave_to_legacy(config.embedding)
    try:
        for entry in entries:
            memory_id = optional_text(entry.get("id")) if isinstance(entry, dict) else None
            try:
                reason, if_version, patch = read_entry(entry, memory_id, payload)
            except Refusal as refusal:
                batch.refuse(memory_id, refusal.error)
                continue
            assert memory_id is not None
            if _wants_vector(patch, config.embedding):
                await batch.write()
            vector = await _embed(context, patch, config.embedding)
            batch.add(Change(memory_id, patch, vector, Mutation(actor, reason, at, if_version)))
        await batch.write()
    except THROWS:
        return UNCAUGHT
    updated = sum(result["status"] == "updated" for result in batch.results)
    return json_reply({"total": len(batch.results), "updated": updated, "results": batch.results})


def _wants_vector(patch: Patch, config: EmbeddingConfig) -> bool:
    return patch.content is not None and config.provider != "none"


async def _embed(context: Context, patch: Patch, config: EmbeddingConfig) -> NewVector | None:
    """The vector of new content, asked for also when the memory will turn out to be missing or to have it already."""
    if patch.content is None or not _wants_vector(patch, config):
        return None
    vector = await (await _embedder(context)).embed(patch.content.storage, config)
    return None if vector is None else NewVector(vector.tobytes(), len(vector), config.model)


async def _embedder(context: Context) -> Embedder:
    if EMBEDDERS not in _imported:
        await asyncio.to_thread(importlib.import_module, EMBEDDERS)  # it imports numpy: 0.1 s
        _imported.add(EMBEDDERS)
    return context.embedder


def _context(request: NativeRequest) -> Context:
    context: Context = request.context
    return context
