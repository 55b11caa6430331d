"""Many changes in one request: each is answered for itself, and what one cannot have does not stop the others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from native_routes.changing.mutation_request import THROWS, read_if_version, read_reason
from native_routes.database import Connection
from native_routes.javascript.coercion import optional_text
from native_routes.javascript.primitives import undefined
from native_routes.modify.change import Change, Outcome, change_memory
from native_routes.modify.patch import Patch, read_patch
from native_routes.reply import Refusal
from native_routes.writer import Writer


def read_entry(entry: Any, memory_id: str | None, batch: Mapping[str, Any]) -> tuple[str, int | None, Patch]:
    """Reason, version and patch of one entry; the batch's reason counts where it has none. Refuses."""
    if not isinstance(entry, dict):
        raise Refusal(400, "Each patch must be an object")
    if memory_id is None:
        raise Refusal(400, "Patch id is required")
    reason = optional_text(entry.get("reason")) or read_reason(batch)
    return reason, read_if_version(entry), read_patch(entry)


class Batch:
    """Results in the order of the entries; changes that wait are written together, and nobody else in between.

    Legacy's loop is interrupted only where it waits for the embedder, so before that they are to be written.
    """

    def __init__(self, writer: Writer) -> None:
        self.results: list[dict[str, Any]] = []
        self._writer = writer
        self._waiting: list[Change] = []

    def refuse(self, memory_id: str | None, error: str) -> None:
        self.results.append({"id": memory_id, "status": "invalid_request", "error": error})

    def add(self, change: Change) -> None:
        self.results.append({"id": change.memory_id})
        self._waiting.append(change)

    async def write(self) -> None:
        """Raises what `change_memory` raises; what waited before the change that raised is written all the same."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            outcomes = await self._writer.run(lambda connection: _change_all(connection, waiting))
        except THROWS:
            outcomes = [await self._writer.run(partial(change_memory, change=change)) for change in waiting]
        unwritten = (result for result in self.results if "status" not in result)
        for result, change, outcome in zip(unwritten, waiting, outcomes, strict=True):
            result.update(told(change, outcome))


def told(change: Change, outcome: Outcome) -> dict[str, Any]:
    """One change and its outcome, as replies show it."""
    return {
        "id": change.memory_id,
        "status": outcome.status,
        "currentVersion": outcome.current_version,
        "newVersion": outcome.new_version,
        "duplicateMemoryId": outcome.duplicate_id,
        "contentChanged": outcome.content_changed,
        "embedded": True if outcome.content_changed is True and change.vector is not None else undefined,
    }


def _change_all(connection: Connection, changes: list[Change]) -> list[Outcome]:
    return [change_memory(connection, change) for change in changes]
