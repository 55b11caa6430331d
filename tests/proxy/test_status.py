"""The proxy's own pages, asked over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from native_routes import GROUPS
from tests.proxy.running_proxy import RunningProxy


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    with RunningProxy(tmp_path_factory.mktemp("status")) as running:
        running.until_legacy("ready")
        yield running


def test_status_tells_proxy_legacy_groups_and_counters(proxy: RunningProxy) -> None:
    document = proxy.status()

    assert list(document) == [
        "proxy",
        "legacy",
        "cutover",
        "degraded",
        "borrowed",
        "embedder",
        "vectors",
        "writes",
        "shadow",
        "counters",
    ]
    assert document["proxy"]["pid"] == proxy.pid
    assert document["proxy"]["home"] == str(proxy.home_path)
    assert document["legacy"]["state"] == "ready"
    assert document["legacy"]["schema_version"] == 30
    assert document["legacy"]["lock_visible"] is True
    assert document["degraded"] == []


def test_status_tells_of_every_group_who_answers_and_why(proxy: RunningProxy) -> None:
    rows = proxy.status()["cutover"]["groups"]

    assert [row["group"] for row in rows] == [group.name for group in GROUPS]
    assert {row["group"] for row in rows if row["answered_by"] == "native"} == {
        group.name for group in GROUPS if group.ships_native or group.name == "health"
    }
    assert all(row["reason"] for row in rows)


def test_status_remembers_a_death_of_an_earlier_run(tmp_path: Path) -> None:
    proxy = RunningProxy(tmp_path)
    with proxy:
        proxy.until_legacy("ready")
        child = proxy.status()["legacy"]["pid"]
    with proxy:
        death = proxy.status()["legacy"]["last_death"]

    assert (death["pid"], death["requested"]) == (child, True)


def test_metrics_are_exposition_text_with_every_sample_declared(proxy: RunningProxy) -> None:
    proxy.get("/health")

    reply = proxy.get("/_proxy/metrics")

    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    declared = set(re.findall(r"^# TYPE (\S+)", reply.text, re.MULTILINE))
    samples = re.findall(r"^([a-z_]+)(?:\{([a-z_]+=\"[^\"]*\",?)*\})? [0-9.e+-]+$", reply.text, re.MULTILINE)
    assert len(samples) == len([line for line in reply.text.splitlines() if not line.startswith("#")])
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name, _ in samples} <= declared


def test_metrics_count_exchanges_by_side_and_status(proxy: RunningProxy) -> None:
    sample = re.compile(r'^signet_proxy_requests_total\{side="native",status="200"\} (\d+)$', re.MULTILINE)
    proxy.get("/health")
    before = sample.search(proxy.get("/_proxy/metrics").text)
    proxy.get("/health")
    after = sample.search(proxy.get("/_proxy/metrics").text)

    assert before is not None
    assert after is not None
    assert int(after[1]) == int(before[1]) + 1


def test_a_histogram_counts_what_its_last_bucket_holds(proxy: RunningProxy) -> None:
    text = proxy.get("/_proxy/metrics").text

    last = re.search(r'exchange_seconds_bucket\{side="native",le="\+Inf"\} (\d+)', text)
    count = re.search(r'exchange_seconds_count\{side="native"\} (\d+)', text)

    assert last is not None
    assert count is not None
    assert last[1] == count[1]


def test_a_set_over_http_moves_and_explains(proxy: RunningProxy) -> None:
    reply = proxy.post("/_proxy/cutover", {"action": "set", "groups": ["tasks"], "mode": "native"})

    (row,) = reply.json()["groups"]
    assert (row["desired"], row["effective"]) == ("native", "legacy")
    assert "no native handlers yet" in row["reason"]
    assert "tasks: native" in (proxy.home_path / ".daemon" / "cutover.yaml").read_text()


@pytest.mark.parametrize(
    ("action", "status", "error"),
    [
        ({}, 400, "expected {"),
        ([], 400, "expected {"),
        ({"action": "set", "groups": "recall", "mode": "native"}, 400, "expected {"),
        ({"action": "drop", "groups": ["recall"]}, 400, "expected {"),
        ({"action": "set", "groups": ["recall"]}, 400, "unknown mode"),
        ({"action": "set", "groups": ["recall"], "mode": "fast"}, 400, "unknown mode 'fast'"),
        ({"action": "set", "groups": ["recal"], "mode": "native"}, 409, "unknown group recal"),
        ({"action": "freeze", "groups": ["health"]}, 409, "health is never frozen"),
        ({"action": "lift", "groups": ["memories"]}, 409, "nothing to lift"),
    ],
)
def test_a_bad_action_is_refused_with_its_cause(proxy: RunningProxy, action: object, status: int, error: str) -> None:
    reply = proxy.post("/_proxy/cutover", action)

    assert reply.status_code == status
    assert error in reply.json()["error"]


def test_an_unknown_page_and_a_wrong_method_are_told(proxy: RunningProxy) -> None:
    unknown, wrong = proxy.get("/_proxy/nope"), proxy.post("/_proxy/status", {})

    assert unknown.status_code == 404
    assert "/_proxy/status" in unknown.json()["error"]
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
