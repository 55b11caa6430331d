"""The proxy's status documents as an operator reads them in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Document = dict[str, Any]


def status_lines(document: Document) -> Iterator[str]:
    """What runs, what is wrong, and the groups gathered by who answers them and why."""
    proxy, legacy = document["proxy"], document["legacy"]
    listening = ", ".join(proxy["listening"])
    up = duration(proxy["uptime_s"])
    yield f"proxy     signet-proxy {proxy['version']}, pid {proxy['pid']}, up {up}, listening on {listening}"
    yield f"home      {proxy['home']} (auth.mode {proxy['auth_mode']}), logs in {proxy['logs']}"
    yield from _legacy_lines(legacy)
    yield from _listed(
        "degraded", [f"{f['component']}: {f['effect']} (since {f['since']})" for f in document["degraded"]]
    )
    yield from _listed("cutover", [document["cutover"]["problem"]] if document["cutover"]["problem"] else [])
    yield from _listed("groups", list(_gathered(document["cutover"]["groups"])))
    yield from _listed("shadow", list(shadow_lines(document["shadow"])))
    counters = document["counters"]
    replies = ", ".join(f"{n} by {side}" for side, n in sorted(counters["replies"].items())) or "none yet"
    yield f"replies   {replies}; {counters['in_flight']} under way"
    faults = [f"{fault['n']} x {fault['group']}: {fault['what']}" for fault in counters["native_faults"]]
    yield from _listed("faults", faults)


def shadow_lines(document: Document) -> Iterator[str]:
    """One line for each group that was compared since the proxy started."""
    for row in document["groups"]:
        bound = row["bound"]
        sure = f" (with 95 % confidence at most {bound:.2%} of all differ)" if bound is not None else ""
        skipped = ", ".join(f"{n} {reason}" for reason, n in row["skipped"].items())
        left_out = f"; not compared: {skipped}" if skipped else ""
        yield f"{row['group']}: {row['equal']} equal, {row['differing']} differ{sure}{left_out}"


def comparison_lines(document: Document, *, all_verdicts: bool) -> Iterator[str]:
    """Numbers by group, then comparisons one by one, newest first."""
    yield from shadow_lines(document)
    for row in document["newest" if all_verdicts else "differing"]:
        reason = f" ({row['reason']})" if row["reason"] else ""
        yield f"{row['at']}  {row['verdict']}{reason}  {row['route']}  {row['target']}"
        if row["path"]:
            yield f"    {row['path']}: legacy {row['legacy']}, native {row['native']}"


def cutover_lines(document: Document) -> list[str]:
    problem = [document["problem"], ""] if document["problem"] else []
    return [*problem, *group_lines(document["groups"])]


def group_lines(rows: Sequence[Document]) -> list[str]:
    """A table: one row per group, the reason last, so that it may be of any length."""
    cells = [("GROUP", "ANSWERS", "ASKED", "CAP", "WHY")]
    cells += [(r["group"], r["effective"], r["desired"], r["cap"], r["reason"] + _together(r)) for r in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in cells
    ]


def duration(seconds: float) -> str:
    """The two largest units: 3 d 4 h, 12 min 5 s."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def _legacy_lines(legacy: Document) -> Iterator[str]:
    reason = f": {legacy['reason']}" if legacy["reason"] else ""
    yield f"legacy    {legacy['state']} since {legacy['since']}{reason}"
    pid = f", pid {legacy['pid']}" if legacy["pid"] else ""
    version = f"version {legacy['version']}" if legacy["version"] else "version unknown"
    lock = "lock seen" if legacy["lock_visible"] else "lock not seen"
    schema = "unknown" if legacy["schema_version"] is None else legacy["schema_version"]
    yield f"          {legacy['kind']}, {version}{pid} on {legacy['address']}, schema {schema}, {lock}"
    if legacy["daemon"]:
        yield f"          {legacy['daemon']}"
    yield f"          {legacy['restarts']} restarts; last death: {_death(legacy['last_death'])}"


def _death(death: Document | None) -> str:
    if death is None:
        return "none on record"
    how = f"killed by {death['signal']}" if death.get("signal") else f"exit code {death.get('code')}"
    asked = ", asked for" if death.get("requested") else ""
    return f"pid {death.get('pid')}, {how}{asked}, after {duration(death.get('uptime_s') or 0)}, at {death.get('at')}"


def _gathered(rows: Sequence[Document]) -> Iterator[str]:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        by_reason.setdefault((row["effective"], row["reason"]), []).append(row["group"])
    for (_, reason), names in by_reason.items():
        yield f"{', '.join(names)}: {reason}"


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{'' if number else title:10}{line}"


def _together(row: Document) -> str:
    return f" (moves with {', '.join(row['moves_with'])})" if row["moves_with"] else ""
