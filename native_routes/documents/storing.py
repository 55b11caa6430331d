"""How documents get into the database and out of it again. Each function is one work for the Writer."""

from __future__ import annotations

from typing import Any, Final

from native_routes.database import Connection
from native_routes.documents import queries
from native_routes.documents.new_document import NewDocument
from native_routes.javascript.values import bindable, truthy
from native_routes.outside import new_id

MOST_ATTEMPTS: Final = 3


def add(connection: Connection, document: NewDocument, document_id: str, now: str) -> queries.KnownDocument | None:
    """None after inserting it, else the document that has its address. Raises UnbindableError for a list or object.

    Legacy: looking for an address, bun:sqlite takes a list of one for what is in it; inserting, it does not.
    """
    address = document.source_url
    if truthy(address):
        looked_for = address[0] if isinstance(address, list) and len(address) == 1 else address
        known = queries.BY_ADDRESS.one(connection, source_url=bindable(looked_for))
        if known is not None:
            return known
    queries.INSERT.run(
        connection,
        id=document_id,
        source_url=bindable(document.source_url),
        source_type=document.source_type,
        content_type=bindable(document.content_type),
        title=bindable(document.title),
        raw_content=bindable(document.raw_content),
        connector_id=bindable(document.connector_id),
        metadata_json=bindable(document.metadata_json),
        now=now,
    )
    return None


def enqueue_ingest(connection: Connection, document_id: str, now: str) -> str | None:
    """The new job's id; None when one waits for this document already."""
    if queries.INGEST_WAITS.one(connection, document_id=document_id) is not None:
        return None
    job_id = new_id()
    queries.ENQUEUE_INGEST.run(connection, id=job_id, document_id=document_id, max_attempts=MOST_ATTEMPTS, now=now)
    return job_id


def forget(connection: Connection, document_id: str, changed_by: Any, reason: str, now: str) -> int:
    """Forget a document's memories, pinned ones too, and mark it deleted; how many memories were not forgotten before.

    Raises ConstraintViolated when nobody is named who does it, UnbindableError for a list or an object. Differs: all
    or nothing; legacy commits each memory.
    """
    forgotten = 0
    for linked in queries.LINKED.all(connection, id=bindable(document_id)):
        forgotten += _forget_memory(connection, linked.memory_id, changed_by, reason, now)
    queries.MARK_DELETED.run(connection, reason=bindable(reason), now=now, id=bindable(document_id))
    return forgotten


def _forget_memory(connection: Connection, memory_id: Any, changed_by: Any, reason: str, now: str) -> bool:
    memory = queries.MEMORY.one(connection, id=memory_id)
    if memory is None or memory.is_deleted == 1:
        return False
    queries.FORGET_MEMORY.run(connection, now=now, changed_by=bindable(changed_by), id=memory_id)
    queries.RECORD.run(
        connection,
        id=new_id(),
        memory_id=memory_id,
        changed_by=bindable(changed_by),
        reason=bindable(f"Document deleted: {reason}"),
        now=now,
    )
    return True
