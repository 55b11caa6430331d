"""Which exchanges the front door counts as legacy would, and under which path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from native_routes import GROUPS
from proxy.counters import TARGETS_KEPT, Counters
from proxy.exchange import Exchange
from proxy.head import Head
from proxy.match import Matcher

MATCHER = Matcher(GROUPS)


@dataclass
class Ended:
    """An exchange that is over, as the counters see it."""

    head: Head
    status: int = 200
    answered_by: str = "legacy"
    failure_code: str | None = None
    fields: Mapping[bytes, bytes] = field(default_factory=dict)


def ended(counters: Counters, request: str, *, seconds: float = 0.0, actor: bytes = b"", **facts: Any) -> None:
    method, _, target = request.partition(" ")
    fields = {b"x-signet-actor": actor} if actor else {}
    exchange = Ended(Head(method, target.encode(), "1.1", [], fields, "127.0.0.1"), **facts)
    counters.used(cast(Exchange, exchange), MATCHER, seconds)


def shown(counters: Counters) -> dict[str, Any]:
    endpoints: dict[str, Any] = counters.usage.shown()["endpoints"]
    return endpoints


@pytest.mark.parametrize(
    ("request_line", "key"),
    [
        ("GET /api/memories?limit=1", "GET /api/memories"), ("HEAD /api/memories", "HEAD /api/memories"),
        ("GET /api/mem%6Fry/a%2Fb%20%C3%BC", "GET /api/memory/a%2Fb ü"), ("GET /no/such/route", "GET /no/such/route"),
        ("GET /x/../health", "GET /health"), ("PROPFIND /a", "PROPFIND /a"),
    ],
)  # fmt: skip
def test_exchanges_are_counted_by_method_and_decoded_path(request_line: str, key: str) -> None:
    counters = Counters()
    for _ in range(2):
        ended(counters, request_line)
    assert {name: seen["count"] for name, seen in shown(counters).items()} == {key: 2}


@pytest.mark.parametrize(
    ("request_line", "facts"),
    [
        ("OPTIONS /api/memories", {}), ("GET /_proxy/status", {"answered_by": "proxy"}), ("GET /health/ready", {}),
        ("GET /api/memories", {"answered_by": "proxy", "status": 401}),
        ("GET /api/memories", {"answered_by": "proxy", "status": 503}),
        ("GET /api/memories", {"answered_by": "proxy", "status": 400}), ("GET *", {}),
    ],
)  # fmt: skip
def test_what_legacy_does_not_count_or_does_not_have_is_left_out(request_line: str, facts: dict[str, Any]) -> None:
    counters = Counters()
    for _ in range(2):
        ended(counters, request_line, **facts)
    assert shown(counters) == {}


@pytest.mark.parametrize(
    ("facts", "errors"),
    [
        ({"status": 200}, 0), ({"status": 401}, 1), ({"status": 404, "answered_by": "native"}, 1), ({"status": 0}, 0),
        ({"status": 403, "answered_by": "proxy"}, 1), ({"status": 429, "answered_by": "proxy"}, 1),
        ({"status": 503, "answered_by": "proxy", "failure_code": "legacy_down"}, 1),
    ],
)  # fmt: skip
def test_every_side_counts_and_errors_begin_at_400(facts: dict[str, Any], errors: int) -> None:
    counters = Counters()
    ended(counters, "GET /api/memories", seconds=0.0039, actor=b"ann", **facts)
    assert shown(counters) == {"GET /api/memories": {"count": 1, "errors": errors, "totalLatencyMs": 3}}
    assert counters.usage.shown()["actors"]["ann"]["requests"] == 1


def test_a_stream_counts_without_its_time() -> None:
    counters = Counters()
    ended(counters, "GET /api/logs/stream", seconds=3600.0)
    ended(counters, "POST /mcp", seconds=2.0)
    assert [seen["totalLatencyMs"] for seen in shown(counters).values()] == [0, 2000]


def test_a_flood_of_paths_is_counted_and_what_was_known_goes_on() -> None:
    counters = Counters()
    for _ in range(2):
        ended(counters, "GET /api/memories")
        for number in range(TARGETS_KEPT):
            ended(counters, f"GET /api/memory/{number}")
    assert {seen["count"] for seen in shown(counters).values()} == {2}
    assert len(shown(counters)) == TARGETS_KEPT + 1
