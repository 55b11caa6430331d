"""The declared routes against the recorded list of Signet 0.58.1: which, in whose order, under which permission."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from native_routes import GROUPS
from native_routes.agent_yaml import DEFAULT_LIMITS, FIXED_LIMITS
from native_routes.declaration import Route
from proxy.match import Matcher

SHARED = {"changing", "javascript", "searching"}  # packages of rules, not of routes
RECORDED_FILE = Path(__file__).with_name("routes_0_58_1.txt")
RECORDED = [tuple(line.split()) for line in RECORDED_FILE.read_text().splitlines() if not line.startswith("#")]
ORDER = {(method, path): place for place, (method, path, _) in enumerate(RECORDED)}
LEGACY_NEEDS = {(method, path): None if needs == "-" else needs for method, path, needs in RECORDED}
UNSHADOWED = ("GET", "/api/memory/search")  # legacy registers /api/memory/:id before it; ours finds it
ORDER[UNSHADOWED] = -1
LEGACYS = [route for group in GROUPS for route in group.routes if not route.ours]

# Source: design, edge security: what these ask for although legacy does not.
GUARDED_BY_US = (
    "/api/config",
    "/api/git",
    "/api/update",
    "/api/tasks",
    "/api/skills",
    "/api/marketplace",
    "/api/secrets",
)


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_every_route_of_signet_is_declared_once() -> None:
    declared = [(route.method, route.path) for route in LEGACYS]

    assert sorted(declared) == sorted(ORDER)
    assert len(declared) == len(set(declared)) == 186  # 185 with a method of their own, and ALL /mcp


def test_only_health_probes_and_auth_status_are_ours_and_they_and_health_are_public() -> None:
    routes = [route for group in GROUPS for route in group.routes]
    ours = ["GET /health/live", "GET /health/ready", "GET /api/auth/status"]

    assert [name(r) for r in routes if r.ours] == ours
    assert [name(r) for r in routes if r.public] == ["GET /health", *ours]


def overlap(one: Route, other: Route) -> str | None:
    """A path that both can match, or None. Parameters are filled with what the other route has there."""
    segments = []
    a, b = one.path.split("/"), other.path.split("/")
    if len(a) != len(b):
        return None
    for mine, yours in zip(a, b, strict=True):
        if mine.startswith(":"):
            segments.append("any" if yours.startswith(":") else yours)
        elif yours.startswith(":") or mine == yours:
            segments.append(mine)
        else:
            return None
    return "/".join(segments)


def test_where_two_routes_match_one_path_the_first_registered_wins() -> None:
    matcher = Matcher(GROUPS)
    overlaps = 0
    for one, other in itertools.combinations(LEGACYS, 2):
        path = overlap(one, other) if one.method == other.method else None
        if path is None:
            continue
        overlaps += 1
        found = matcher.match(one.method, path.encode()).route
        rivals = [r for r in LEGACYS if r.method == one.method and overlap(r, Route(r.method, path))]
        first = min(rivals, key=lambda route: ORDER[route.method, route.path])
        assert found == first, path
    assert overlaps == 16  # fewer: a route was lost, and this test with it


@pytest.mark.parametrize(
    ("target", "winner"),
    [
        ("/api/memory/timeline", "/api/memory/timeline"),
        ("/api/memory/search?q=x", "/api/memory/search"),
        ("/api/memory/jobs/history", "/api/memory/:id/history"),
        ("/api/memory/jobs/17", "/api/memory/jobs/:id"),
        ("/api/connectors/resync", "/api/connectors/:id"),
        ("/api/sessions/summaries", "/api/sessions/:key"),
        ("/api/knowledge/entities/pinned", "/api/knowledge/entities/pinned"),
        ("/api/marketplace/mcp/policy", "/api/marketplace/mcp/policy"),
        ("/api/marketplace/reviews/config", "/api/marketplace/reviews/config"),
    ],
)
def test_known_shadowed_reads_go_where_the_reference_says(target: str, winner: str) -> None:
    route = Matcher(GROUPS).match("GET", target.encode()).route

    assert route is not None
    assert route.path == winner


@pytest.mark.parametrize("route", LEGACYS, ids=name)
def test_permission_is_legacys_unless_the_route_says_why_it_is_stricter(route: Route) -> None:
    legacy = LEGACY_NEEDS[route.method, route.path]

    if route.stricter is None:
        assert route.needs == legacy
    else:
        assert legacy is None
        assert route.needs is not None


@pytest.mark.parametrize("route", LEGACYS, ids=name)
def test_routes_that_legacy_leaves_open_ask_for_what_the_design_says(route: Route) -> None:
    expected = LEGACY_NEEDS[route.method, route.path]
    if route.path == "/mcp" or (route.path.startswith("/api/secrets") and route.path.endswith("/exec")):
        expected = "remember"
    elif route.path.startswith(GUARDED_BY_US):
        expected = "recall" if route.method == "GET" else "admin"

    assert route.needs == expected


def test_limiters_stand_where_legacy_has_them() -> None:
    limited = {name(route): route.limit for route in LEGACYS if route.limit}

    assert limited == {
        "POST /api/auth/token": "admin",
        "POST /api/memory/modify": "modify",
        "PATCH /api/memory/:id": "modify",
        "POST /api/memory/forget": "batchForget",
        "DELETE /api/memory/:id": "forget",
        "POST /api/cross-agent/messages": "cross-agent-message",
    }
    assert set(limited.values()) <= {*DEFAULT_LIMITS, *FIXED_LIMITS}


def test_streams_are_marked() -> None:
    assert {name(route) for route in LEGACYS if route.streams} == {
        "ALL /mcp",
        "GET /api/logs/stream",
        "GET /api/cross-agent/stream",
        "GET /api/tasks/:id/stream",
    }


def test_group_names_are_their_packages_and_phases_are_one_to_five() -> None:
    packages = {path.parent.name for path in Path(__file__).parents[2].glob("native_routes/*/__init__.py")}

    assert {group.name for group in GROUPS} == packages - SHARED
    assert len(GROUPS) == len(packages - SHARED)
    assert {group.phase for group in GROUPS} == {1, 2, 3, 4, 5}


def test_groups_that_share_state_migrate_in_one_phase() -> None:
    for one, other in itertools.combinations(GROUPS, 2):
        if one.remembers & other.remembers:
            assert one.phase == other.phase, (one.name, other.name)


def test_borrowed_state_belongs_to_a_group_that_remembers_it_or_to_a_worker_of_legacy() -> None:
    remembered = frozenset().union(*(group.remembers for group in GROUPS))
    counters = {"error_ring", "feedback_counters", "job_counters", "predictor_latency"}
    workers = counters | {"embedding_tracker", "running_workers", "model_providers"}
    borrowed = {state for group in GROUPS for state in group.borrows}

    assert borrowed - remembered == workers | {"traversal_status", "greeting"}
