"""Tokens that are held to one project may change only its memories, and those of no project.

Differs: admission has asked for the permission and counted the request before; legacy looks here first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from native_routes.declaration import NativeRequest
from native_routes.javascript.values import to_text, truthy
from native_routes.query import Query
from native_routes.reader import Reader
from native_routes.reply import Refusal


@dataclass(frozen=True, slots=True)
class Project:
    project: Any


# Of a forgotten memory too.
PROJECT: Final = Query("SELECT project FROM memories WHERE id = :id", row=Project)


async def check_project(request: NativeRequest, reader: Reader) -> None:
    """Refuses with 403 a token of another project than the memory `:id` has; the id counts as it stands, untrimmed."""
    claims = request.claims
    held_to = claims.scope.get("project") if claims is not None and claims.role != "admin" else None
    if not truthy(held_to):
        return
    memory_id = request.params["id"]
    found = await reader.run(lambda connection: PROJECT.one(connection, id=memory_id))
    if found is not None and truthy(found.project) and found.project != held_to:
        raise Refusal(403, f"scope restricted to project '{to_text(held_to)}'")
