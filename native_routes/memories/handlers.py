"""The five routes: what each request asks for, and the shape of its reply."""

from __future__ import annotations

import math
from typing import Any, Final, Protocol

from native_routes.daemon_log import DaemonLog
from native_routes.database import Connection, DatabaseError, SchemaMismatch, StatementError
from native_routes.declaration import NativeRequest
from native_routes.javascript.coercion import optional_positive_integer
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.primitives import parse_int, trim, undefined
from native_routes.memories import queries
from native_routes.memories.listing import page_body, rows_body
from native_routes.memories.timeline import read_timeline, unbuilt_timeline
from native_routes.outside import Clock
from native_routes.query_string import query_parameter
from native_routes.reader import Reader
from native_routes.reply import UNCAUGHT, Refusal, Reply, json_reply
from native_routes.stored_values import as_json, as_object, bytes_text

DEFAULT_HISTORY: Final = 200
MOST_HISTORY: Final = 1000
JSON: Final = ((b"content-type", b"application/json"),)
NOT_BOUND: Final = -(2.0**63)  # The SQLite inside Bun takes it for no integer; the one here would.
UNLISTED: Final = {
    "memories": [],
    "stats": {"total": 0, "withEmbeddings": 0, "critical": 0},
    "error": "Failed to load memories",
}


class Context(Protocol):
    @property
    def reader(self) -> Reader: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def daemon_log(self) -> DaemonLog: ...


async def list_memories(request: NativeRequest) -> Reply:
    """A page of all memories, forgotten ones too, newest first; 200 also when they cannot be read.

    `limit` and `offset` are bound as numbers: SQLite takes a negative limit as none and refuses one that is no number.
    """
    limit, offset = _number(request, "limit", "100"), _number(request, "offset", "0")
    try:
        body = await _list_body(_context(request).reader, limit, offset)
    except DatabaseError as error:
        _context(request).daemon_log.error("memory", "Error loading memories", error)
        return json_reply(UNLISTED)
    return Reply(200, body, JSON)


async def _list_body(reader: Reader, limit: float, offset: float) -> bytes:
    try:
        return await reader.run(page_body, limit, offset)
    except StatementError:
        return await reader.run(rows_body, limit, offset)


async def show_timeline(request: NativeRequest) -> Reply:
    context = _context(request)
    now_ms = context.clock.now_ms()
    try:
        return json_reply(await context.reader.run(read_timeline, now_ms))
    except (DatabaseError, TypeError) as error:  # TypeError: bytes where the timeline counts texts
        context.daemon_log.error("memory", "Error building memory timeline", error)
        return json_reply(unbuilt_timeline(now_ms), 500)


async def show_memory(request: NativeRequest) -> Reply:
    """One memory that is not forgotten; `sessionId` only for one that names its session, or that a session left."""
    memory_id = _id(request, "memory id is required")
    try:
        memory = await _context(request).reader.run(lambda connection: queries.MEMORY.one(connection, id=memory_id))
    except SchemaMismatch:
        return UNCAUGHT
    if memory is None:
        raise Refusal(404, "not found")
    return json_reply({**as_object(memory), "sessionId": _session_id(memory)})


def _session_id(memory: queries.Memory) -> Any:
    if isinstance(memory.session_id, str):
        return memory.session_id
    of_session = isinstance(memory.source_type, str) and memory.source_type.startswith("session")
    return memory.source_id if of_session and isinstance(memory.source_id, str) else undefined


async def show_history(request: NativeRequest) -> Reply:
    """What happened to a memory, also to a forgotten one; the oldest entries when there are more than `limit`."""
    memory_id = _id(request, "memory id is required")
    limit = optional_positive_integer(query_parameter(request.head.target, "limit")) or DEFAULT_HISTORY
    try:
        entries = await _context(request).reader.run(_history, memory_id, min(limit, MOST_HISTORY))
    except SchemaMismatch:
        return UNCAUGHT
    if entries is None:
        raise Refusal(404, "Not found", memoryId=memory_id)
    return json_reply({"memoryId": memory_id, "count": len(entries), "history": [_entry(entry) for entry in entries]})


async def show_job(request: NativeRequest) -> Reply:
    """One job of the pipeline. A row that a worker could not take is answered as if it were missing."""
    job_id = _id(request, "job id is required")
    try:
        job = await _context(request).reader.run(lambda connection: queries.JOB.one(connection, id=job_id))
    except SchemaMismatch:
        return UNCAUGHT
    if job is None or not _is_complete(job):
        raise Refusal(404, "Job not found")
    stored = as_object(job)
    return json_reply(
        {
            **{name: stored[name] for name in ("id", "memory_id", "document_id", "job_type", "status")},
            "attempt_count": job.attempts,
            "attempts": job.attempts,
            "max_attempts": job.max_attempts,
            "next_attempt_at": None,
            "last_error": stored["error"],
            "last_error_code": None,
            **{name: stored[name] for name in ("error", "leased_at", "completed_at", "failed_at")},
            "created_at": job.created_at,
            "updated_at": job.updated_at,
        }
    )


def _context(request: NativeRequest) -> Context:
    context: Context = request.context
    return context


def _number(request: NativeRequest, name: str, default: str) -> float:
    number = parse_int(query_parameter(request.head.target, name) or default)
    return math.nan if number == NOT_BOUND else number


def _id(request: NativeRequest, missing: str) -> str:
    found = trim(request.params["id"])
    if not found:
        raise Refusal(400, missing)
    return found


def _history(connection: Connection, memory_id: str, limit: int) -> list[queries.HistoryEntry] | None:
    if queries.KNOWN_MEMORY.one(connection, id=memory_id) is None:
        return None
    return queries.HISTORY.all(connection, id=memory_id, limit=limit)


def _entry(entry: queries.HistoryEntry) -> dict[str, Any]:
    return {
        "id": as_json(entry.id),
        "event": as_json(entry.event),
        "oldContent": as_json(entry.old_content),
        "newContent": as_json(entry.new_content),
        "changedBy": as_json(entry.changed_by),
        "actorType": _or_undefined(entry.actor_type),
        "reason": as_json(entry.reason),
        "metadata": _metadata(entry.metadata),
        "createdAt": as_json(entry.created_at),
        "sessionId": _or_undefined(entry.session_id),
        "requestId": _or_undefined(entry.request_id),
    }


def _or_undefined(value: queries.Stored) -> Any:
    return undefined if value is None else as_json(value)


def _metadata(stored: queries.Stored) -> Any:
    """The JSON in it, or what is stored when there is none."""
    text = bytes_text(stored) if isinstance(stored, bytes) else stored
    try:
        return None if text is None else parse_json(text)
    except (ValueError, RecursionError):
        return as_json(stored)


def _is_complete(job: queries.Job) -> bool:
    texts = (job.id, job.job_type, job.status, job.created_at, job.updated_at)
    numbers = (job.attempts, job.max_attempts)
    return all(isinstance(value, str) for value in texts) and all(isinstance(value, int | float) for value in numbers)
