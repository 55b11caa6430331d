"""A run's outcome as one page without outside parts: routes, cases, differences, side effects by group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from html import escape
from typing import Final

from native_routes import GROUPS
from parity_tests.harness import tree
from parity_tests.harness.differ import Comparison, Verdict
from parity_tests.harness.outcome import Outcome, ScenarioOutcome
from parity_tests.harness.report import field_counts, verdict
from parity_tests.harness.tree import Object

_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--bad:#c22;--good:#282;--soft:#8881}
@media(prefers-color-scheme:dark){:root{--bad:#f77;--good:#6c6}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid var(--line)}
.table{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font:12px/1.45 ui-monospace,monospace}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}.soft{opacity:.7}
details{margin:.3rem 0;padding:.2rem .6rem;background:var(--soft);border-radius:4px}summary{cursor:pointer}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem}
.verdict{font-size:1.1rem;padding:.6rem 1rem;border:1px solid var(--line)}
"""
Case = tuple[ScenarioOutcome, Comparison]


def page(outcome: Outcome) -> str:
    """The whole page."""
    by_route = _by_route(outcome)
    parts = [_head(outcome), _problems(outcome), _groups(by_route), _fields(outcome)]
    for group in GROUPS:
        routes = [f"{route.method} {route.path}" for route in group.routes]
        cases = {route: by_route.pop(route, []) for route in routes}
        if any(cases.values()):
            parts.append(_group(group.name, cases))
    if by_route:
        parts.append(_group("no route, and what is left at the end of scenarios", by_route))
    parts.append(_left_out(outcome))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Parity of {escape(outcome.candidate)}</title><style>{_STYLE}</style>{''.join(parts)}</html>\n"
    )


def _head(outcome: Outcome) -> str:
    kind = "good" if outcome.holds else "bad"
    return (
        f"<h1>Parity of {escape(outcome.candidate)} with {escape(outcome.legacy)}</h1>"
        f"<p class='verdict {kind}'>{escape(verdict(outcome))}</p>"
        "<p>Status line, headers, body, events, rows, full-text index, vectors, files and calls "
        "to the model server are compared. "
        "<b>Equal</b> is to the byte. <b>Noisy</b> moved between two recordings of legacy; its form and distance from "
        "now were checked. <b>Declared</b> differs as a rule says it must.</p>"
    )


def _problems(outcome: Outcome) -> str:
    items = "".join(f"<li>{escape(problem)}" for problem in outcome.problems())
    return f"<h2 class=bad>Problems</h2><ul>{items}</ul>" if items else ""


def _fields(outcome: Outcome) -> str:
    cells = "".join(f"<td class=n>{count:,}" for count in field_counts(outcome).values())
    names = "".join(f"<th class=n>{name.value}" for name in Verdict)
    return f"<h2>Fields</h2><div class=table><table><tr>{names}<tr>{cells}</table></div>"


def _groups(by_route: dict[str, list[Case]]) -> str:
    """Every group that was asked, one line each; what differs first, what is not compared in words."""
    lines = []
    for group in GROUPS:
        found = [by_route.get(f"{route.method} {route.path}", []) for route in group.routes]
        cases = [one for route in found for _, one in route]
        if not cases:
            continue
        asked, differing = sum(map(bool, found)), sum(bool(one.differences) for one in cases)
        kind = "bad" if differing else "good"
        routes = f"{asked}" if asked == len(found) else f"<span class=bad>{asked} of {len(found)}</span>"
        row = f"<tr><td>{escape(group.name)}<td class=n>{routes}<td class=n>{len(cases):,}"
        row += f"<td class='n {kind}'>{differing}"
        lines.append((-differing, row))
    rows = "".join(row for _, row in sorted(lines, key=lambda line: line[0]))
    head = "<tr><th>group<th class=n>routes compared<th class=n>cases<th class=n>cases that differ"
    return f"<h2>Groups</h2><div class=table><table>{head}{rows}</table></div>" if rows else ""


def _by_route(outcome: Outcome) -> dict[str, list[Case]]:
    out: dict[str, list[Case]] = defaultdict(list)
    for scenario in outcome.scenarios:
        for comparison in scenario.comparisons:
            out[comparison.route.replace("HEAD ", "GET ")].append((scenario, comparison))
    return dict(out)


def _group(name: str, cases: dict[str, list[Case]]) -> str:
    rows = "".join(_route_row(route, found) for route, found in cases.items())
    details = "".join(
        _case(scenario, one) for found in cases.values() for scenario, one in found if _worth_showing(one)
    )
    return (
        f"<h2>{escape(name)}</h2><div class=table><table><tr><th>route<th class=n>cases<th>statuses<th class=n>fields"
        f"<th class=n>side effects<th class=n>differences{rows}</table></div>{details}"
    )


def _route_row(route: str, found: list[Case]) -> str:
    differences = sum(len(one.differences) for _, one in found)
    statuses = sorted({_status(one) for _, one in found} - {""})
    effects = sum(_effects(one) is not None for _, one in found)
    fields = sum(sum(one.fields.values()) for _, one in found)
    kind = "bad" if differences else "soft" if not found else "good"
    return (
        f"<tr><td><code>{escape(route)}</code><td class=n>{len(found)}<td>{', '.join(statuses)}<td class=n>{fields:,}"
        f"<td class=n>{effects}<td class='n {kind}'>{differences if found else 'not compared'}"
    )


def _worth_showing(one: Comparison) -> bool:
    return bool(one.differences) or _effects(one) is not None


def _case(scenario: ScenarioOutcome, one: Comparison) -> str:
    kind = "bad" if one.differences else "soft"
    count = f"{len(one.differences)} differences" if one.differences else "side effects, equal"
    title = f"{escape(one.case)} {escape(scenario.title(one.case))}"
    return (
        f"<details{' open' if one.differences else ''}><summary>{title} <span class={kind}>{count}</span></summary>"
        f"{''.join(_differences(one))}{_sides(one)}</details>"
    )


def _differences(one: Comparison) -> Iterator[str]:
    if one.differences:
        yield "<div class=table><table><tr><th>field<th>expected<th>got"
        for item in one.differences[:50]:
            why = f"<br><span class=soft>{escape(item.why)}</span>" if item.why else ""
            cells = "".join(f"<td><pre>{escape(text[:3000])}</pre>" for text in (item.expected, item.got))
            yield f"<tr><td><code>{escape(item.path)}</code>{why}{cells}"
        yield "</table></div>"


def _sides(one: Comparison) -> str:
    shown = (one.expected, one.got) if one.differences else (_effects(one),)
    columns = "".join(f"<pre>{escape(tree.pretty(side)[:6000])}</pre>" for side in shown)
    return f"<div class=two>{columns}</div>" if one.differences else columns


def _effects(one: Comparison) -> Object | None:
    effects = one.expected.get("effects") if isinstance(one.expected, Object) else None
    return effects if isinstance(effects, Object) and effects.pairs else None


def _status(one: Comparison) -> str:
    status = one.expected.get("status") if isinstance(one.expected, Object) else None
    return tree.stringify(status) if status is not None else ""


def _left_out(outcome: Outcome) -> str:
    items = [scenario for scenario in outcome.scenarios if scenario.left_out]
    rows = "".join(f"<tr><td>{escape(item.scenario)}<td>{escape(item.left_out)}" for item in items)
    return f"<h2>Left out</h2><div class=table><table><tr><th>scenario<th>why{rows}</table></div>" if rows else ""
