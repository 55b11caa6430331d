"""The pipeline at one glance: its workers, its queues, what it may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from native_routes.database import Connection
from native_routes.javascript.dates import parse_date
from native_routes.javascript.objects import PROTOTYPE, in_key_order
from native_routes.pipeline.queries import MEMORY_JOBS, SUMMARY_JOBS, StatusCount
from native_routes.stored_values import bytes_text

WORKERS: Final = (
    *("extraction", "summary", "document", "retention", "maintenance"),
    *("synthesis", "structuralClassify", "structuralDependency"),
)
STATES: Final = ("pending", "leased", "completed", "failed", "dead")
FEEDBACK: Final[Mapping[str, Any]] = {
    "lastRunAt": None,
    "feedbackAspectsUpdated": 0,
    "feedbackFtsConfirmations": 0,
    "feedbackDecayedAspects": 0,
    "feedbackPropagatedAttributes": 0,
}
"""Of a daemon whose feedback has not run."""


def read_queues(connection: Connection) -> dict[str, dict[str, int]]:
    """Jobs by status, the usual ones always, then what else occurs."""
    return {"memory": _counts(MEMORY_JOBS.all(connection)), "summary": _counts(SUMMARY_JOBS.all(connection))}


def mode(pipeline: Mapping[str, Any]) -> str:
    if not pipeline["enabled"]:
        return "disabled"
    if pipeline["mutationsFrozen"]:
        return "frozen"
    return "shadow" if pipeline["shadowMode"] else "controlled-write"


def workers(told: Mapping[str, Any]) -> dict[str, Any]:
    """Which of them run, as legacy told last; none when it never did: they are its own."""
    states = _section(told, "workers")
    return {name: {"running": _section(states, name).get("running") is True} for name in WORKERS}


def feedback(told: Mapping[str, Any]) -> dict[str, Any]:
    """What the feedback worker has changed since it was started."""
    found = _section(told, "feedback")
    return {name: found.get(name, unused) for name, unused in FEEDBACK.items()}


def told_traversal(told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Legacy's last walk through what is known about entities; None when there was none."""
    return _section(_section(told, "traversal"), "lastRun") or None


def is_older(walk: Mapping[str, Any] | None, at_ms: int) -> bool:
    """Whether a walk that legacy tells of was before a time."""
    at = (walk or {}).get("at")
    ms = parse_date(at) if isinstance(at, str) else None
    return ms is None or ms < at_ms


def predictor(domain: Mapping[str, Any]) -> dict[str, Any]:
    """In short, from its domain of the diagnostics."""
    return {
        "running": domain["status"] != "disabled" and domain["sidecarAlive"],
        "modelReady": domain["coldStartExited"],
        **{name: domain[name] for name in ("coldStartExited", "successRate", "alpha")},
    }


def _counts(found: Iterable[StatusCount]) -> dict[str, int]:
    counts = dict.fromkeys(STATES, 0)
    for row in found:
        counts[_key(row.status)] = row.jobs
    counts.pop(PROTOTYPE, None)  # legacy puts it where JSON does not see it
    return in_key_order(counts)


def _key(status: Any) -> str:
    if isinstance(status, bytes):
        return bytes_text(status)
    return "null" if status is None else str(status)


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}
