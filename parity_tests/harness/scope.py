"""Which scenarios are for which candidate. What is left out is told with its reason, never counted as proven."""

from __future__ import annotations

from typing import Final

from native_routes import GROUPS
from parity_tests.harness.scenario import Listen, Scenario
from proxy.caps import EXEMPT
from proxy.match import Matcher

STAND_IN_ROUTES: Final = frozenset(
    """
    GET /health
    GET /api/status
    GET /api/features
    GET /api/auth/whoami
    POST /api/auth/token
    GET /api/logs
    GET /api/logs/stream
    GET /api/config
    POST /api/config
    GET /api/identity
    GET /api/memories
    GET /api/memory/:id
    GET /api/memory/:id/history
    DELETE /api/memory/:id
    POST /api/memory/remember
    POST /api/memory/save
    POST /api/hook/remember
    POST /api/memory/recall
    GET /memory/search
    GET /memory/similar
    """.strip().split("\n    ")
)
"""What legacy_ts serves (legacy_ts/README.md); it never grows."""

_MATCHER: Final = Matcher(GROUPS)


def left_out(scenario: Scenario, candidate: str) -> str:
    """Why the candidate is not asked; "" when it is."""
    if reason := scenario.not_for.get(candidate):
        return reason
    if candidate == "legacy_ts":
        routes = {route for _, route in routes_of(scenario) if route} - STAND_IN_ROUTES
        return f"legacy_ts does not serve {', '.join(sorted(routes))}" if routes else ""
    if candidate == "native":
        groups = {group for group, _ in routes_of(scenario) if group} - native_groups()
        if groups:
            return f"not native yet: {', '.join(sorted(groups))}"
        if {group for group, _ in routes_of(scenario) if group} <= EXEMPT:
            return "health needs no evidence; docs/differences.md says in what it differs"
    return ""


def native_groups() -> frozenset[str]:
    """Groups all of whose routes have a native handler."""
    return frozenset(group.name for group in GROUPS if all(route.handler is not None for route in group.routes))


def routes_of(scenario: Scenario) -> set[tuple[str, str]]:
    """Group and route of every request; ("", "") for a target that has no route."""
    streams = [(step.method, step.target) for step in scenario.steps if isinstance(step, Listen)]
    return {_route(method, target) for method, target in streams + [(s.method, s.target) for s in scenario.sends()]}


def _route(method: str, target: str) -> tuple[str, str]:
    match = _MATCHER.match(method, target.encode("utf-8", "surrogateescape"))
    if match.group is None or match.route is None:
        return "", ""
    return match.group.name, f"{match.route.method} {match.route.path}"
