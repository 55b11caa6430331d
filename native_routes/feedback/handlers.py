"""The one route: an agent's scores for memories that it was shown in a session."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

from native_routes.daemon_log import DaemonLog
from native_routes.database import Connection, DatabaseError
from native_routes.declaration import NativeRequest
from native_routes.feedback.queries import RATE
from native_routes.javascript.coercion import optional_text
from native_routes.javascript.json_object import read_object
from native_routes.javascript.values import bindable, truthy
from native_routes.reply import Refusal, Reply, json_reply
from native_routes.writer import Writer

INVALID: Final = "Invalid feedback format — expected map of ID to number (-1 to 1)"
PROTOTYPE: Final = "__proto__"  # legacy takes it for one entry and cannot keep it


class Context(Protocol):
    @property
    def writer(self) -> Writer: ...
    @property
    def daemon_log(self) -> DaemonLog: ...


async def give_feedback(request: NativeRequest) -> Reply:
    """How many scores were understood, whether or not the session was shown those memories, and also when they cannot
    be written. Legacy: POST /api/memory/feedback, which the kill switch does not stop.
    """
    payload = await read_object(request)
    session_key, feedback = optional_text(payload.get("sessionKey")), payload.get("feedback")
    if session_key is None or not truthy(feedback):
        raise Refusal(400, "sessionKey and feedback required")
    scores = _scores(feedback)
    if not scores:
        raise Refusal(400, INVALID)
    scores.pop(PROTOTYPE, None)
    context: Context = request.context
    try:
        await context.writer.run(lambda connection: _rate(connection, session_key, scores))
    except DatabaseError as error:
        context.daemon_log.warn("session-memories", "Failed to record agent feedback", {"error": str(error)})
    return json_reply({"ok": True, "recorded": len(scores)})


def _scores(feedback: Any) -> dict[str, float]:
    """Memory id -> score from -1 to 1; what is no number, and the empty id, is left out."""
    if not isinstance(feedback, Mapping):
        return {}
    return {
        memory_id: max(-1.0, min(1.0, score))
        for memory_id, score in feedback.items()
        if memory_id and isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
    }


def _rate(connection: Connection, session_key: str, scores: Mapping[str, float]) -> None:
    for memory_id, score in scores.items():
        RATE.run(connection, session_key=bindable(session_key), memory_id=bindable(memory_id), score=bindable(score))
