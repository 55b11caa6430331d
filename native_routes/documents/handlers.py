"""The five routes: what each request asks for, and the shape of its reply."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final, Protocol

from native_routes.actor import actor_of
from native_routes.daemon_log import DaemonLog
from native_routes.database import Connection, DatabaseError
from native_routes.declaration import NativeRequest
from native_routes.documents import queries, storing
from native_routes.documents.new_document import read_document
from native_routes.javascript.primitives import parse_int, undefined
from native_routes.javascript.values import UnbindableError, bindable
from native_routes.outside import Clock, new_id, now_text
from native_routes.query_string import query_parameter
from native_routes.reader import Reader
from native_routes.reply import UNCAUGHT, Refusal, Reply, json_reply
from native_routes.request_body import read_json
from native_routes.stored_values import as_json, as_object
from native_routes.writer import Writer

DEFAULT_LIMIT: Final = 50
MOST_LISTED: Final = 500
UNNAMED: Final = "document-api"


class Context(Protocol):
    @property
    def reader(self) -> Reader: ...
    @property
    def writer(self) -> Writer: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def daemon_log(self) -> DaemonLog: ...


async def add_document(request: NativeRequest) -> Reply:
    """A document queued for the worker, or the one that has its address already. Legacy: POST /api/documents."""
    context = _context(request)
    try:
        body = await read_json(request)
    except ValueError:
        raise Refusal(400, "Invalid JSON body") from None
    if body is None:
        return UNCAUGHT
    document = read_document(body)
    document_id = new_id()
    try:
        add = partial(storing.add, document=document, document_id=document_id, now=now_text(context.clock))
        known = await context.writer.run(add)
        if known is not None:
            return json_reply({"id": as_json(known.id), "status": as_json(known.status), "deduplicated": True})
        enqueue = partial(storing.enqueue_ingest, document_id=document_id, now=now_text(context.clock))
        job_id = await context.writer.run(enqueue)
    except (DatabaseError, UnbindableError) as error:
        raise _failed(context, "Failed to create document", error) from None
    return json_reply({"id": document_id, "status": "queued", "jobId": job_id or undefined}, 201)


async def list_documents(request: NativeRequest) -> Reply:
    """A page of documents, newest first, and how many there are. Legacy: GET /api/documents."""
    context, target = _context(request), request.head.target
    limit = min(max(1, _number(target, "limit") or DEFAULT_LIMIT), MOST_LISTED)
    offset = max(0, _number(target, "offset"))
    try:
        found = await context.reader.run(_page, query_parameter(target, "status"), limit, offset)
    except DatabaseError as error:
        raise _failed(context, "Failed to list documents", error) from None
    return json_reply({**found, "limit": limit, "offset": offset})


async def show_document(request: NativeRequest) -> Reply:
    context, document_id = _context(request), request.params["id"]
    try:
        document = await context.reader.run(_document, document_id)
    except DatabaseError as error:
        raise _failed(context, "Failed to get document", error) from None
    if document is None:
        raise Refusal(404, "Document not found")
    return json_reply(as_object(document))


async def list_chunks(request: NativeRequest) -> Reply:
    """The memories made of a document that are not forgotten; [] for a document that nobody knows."""
    context, document_id = _context(request), request.params["id"]
    try:
        chunks = await context.reader.run(lambda connection: queries.CHUNKS.all(connection, id=bindable(document_id)))
    except DatabaseError as error:
        raise _failed(context, "Failed to list chunks", error) from None
    return json_reply({"chunks": [as_object(chunk) for chunk in chunks], "count": len(chunks)})


async def forget_document(request: NativeRequest) -> Reply:
    """Forget a document and what was made of it, as often as asked. Legacy: DELETE /api/documents/:id."""
    context, document_id = _context(request), request.params["id"]
    reason = query_parameter(request.head.target, "reason")
    if not reason:
        raise Refusal(400, "reason query parameter is required")
    try:
        document = await context.reader.run(_document, document_id)
    except DatabaseError:
        return UNCAUGHT  # legacy looks before it begins to catch
    if document is None:
        raise Refusal(404, "Document not found")
    actor = actor_of(request, UNNAMED)
    forget = partial(
        storing.forget,
        document_id=document_id,
        changed_by=actor.changed_by,
        reason=reason,
        now=now_text(context.clock),
    )
    try:
        forgotten = await context.writer.run(forget)
    except (DatabaseError, UnbindableError) as error:
        raise _failed(context, "Failed to delete document", error) from None
    return json_reply({"deleted": True, "memoriesRemoved": forgotten})


def _context(request: NativeRequest) -> Context:
    context: Context = request.context
    return context


def _failed(context: Context, message: str, error: Exception) -> Refusal:
    context.daemon_log.error("documents", message, error)
    return Refusal(500, message)


def _number(target: bytes, name: str) -> float:
    """0 for what is no number."""
    number = parse_int(query_parameter(target, name) or "")
    return 0 if math.isnan(number) else number


def _page(connection: Connection, status: str | None, limit: float, offset: float) -> dict[str, Any]:
    bounds = {"limit": bindable(limit), "offset": bindable(offset)}
    if status:
        documents = queries.LIST_OF_STATUS.all(connection, status=bindable(status), **bounds)
        count = queries.COUNT_OF_STATUS.one(connection, status=bindable(status))
    else:
        documents, count = queries.LIST.all(connection, **bounds), queries.COUNT.one(connection)
    assert count is not None
    return {"documents": [as_object(document) for document in documents], "total": count.count}


def _document(connection: Connection, document_id: str) -> queries.Document | None:
    return queries.DOCUMENT.one(connection, id=bindable(document_id))
