"""Mode shadow in a running proxy before the stand-in: what is compared, what a difference does, what a user notices."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.legacy.find import STAND_IN_PATH
from tests.proxy.planted_proxy import PlantedProxy

SERVED_BY = "x-signet-served-by"
SECRET_TEXT = "the cellar door code is violet"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantedProxy]:
    folder = tmp_path_factory.mktemp("shadow")
    with PlantedProxy(folder, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH), SIGNET_SHADOW_SHARE="1") as running:
        running.until_legacy("ready")
        running.post("/api/memory/remember", {"content": SECRET_TEXT})
        warm_up(running)
        yield running


@pytest.fixture
def proxy(shared: PlantedProxy) -> PlantedProxy:
    """Groups memories and recall in mode shadow, nothing frozen, nothing under way."""
    for row in shared.status()["cutover"]["groups"]:
        if row["frozen"]:
            shared.cli("cutover", "lift", row["group"])
    shared.cli("cutover", "set", "memories", "recall", "shadow")
    return shared


def warm_up(proxy: PlantedProxy) -> None:
    """Until a comparison was made: connections for snapshots are opened by the first requests."""
    proxy.cli("cutover", "set", "memories", "shadow")
    for _ in range(2):  # a connection each
        before = compared(proxy)
        proxy.wait_for(lambda before=before: proxy.get("/api/memories").is_success and compared(proxy) > before)


def tally(proxy: PlantedProxy, group: str = "memories") -> dict[str, Any]:
    rows = {row["group"]: row for row in proxy.status()["shadow"]["groups"]}
    nothing = {"compared": 0, "equal": 0, "differing": 0, "skipped": {}, "bound": None}
    found: dict[str, Any] = rows.get(group, nothing)
    return found


def compared(proxy: PlantedProxy, group: str = "memories") -> int:
    return int(tally(proxy, group)["compared"])


def newest(proxy: PlantedProxy) -> dict[str, Any]:
    row: dict[str, Any] = proxy.get("/_proxy/comparisons").json()["newest"][0]
    return row


def judged(proxy: PlantedProxy, path: str, group: str = "memories", **fields: str) -> dict[str, Any]:
    """The comparison that a GET led to."""
    before = outcomes(proxy, group)
    reply = proxy.get(path, **fields)
    assert reply.headers[SERVED_BY] == "legacy"
    proxy.wait_for(lambda: outcomes(proxy, group) > before)
    return newest(proxy)


def recalled(proxy: PlantedProxy, query: str, **fields: str) -> dict[str, Any]:
    """The comparison that a recall led to."""
    before = outcomes(proxy, "recall")
    assert proxy.post("/api/memory/recall", {"query": query}, **fields).headers[SERVED_BY] == "legacy"
    proxy.wait_for(lambda: outcomes(proxy, "recall") > before)
    return newest(proxy)


def outcomes(proxy: PlantedProxy, group: str) -> int:
    row = tally(proxy, group)
    n: int = row["compared"] + sum(row["skipped"].values())
    return n


def frozen(proxy: PlantedProxy, group: str = "memories") -> str:
    """Why the group is frozen; "" when it is not."""
    row = next(row for row in proxy.status()["cutover"]["groups"] if row["group"] == group)
    return str(row["reason"]) if row["frozen"] else ""


def memory_id(proxy: PlantedProxy) -> str:
    found: str = proxy.get("/api/memories").json()["memories"][-1]["id"]
    return found


def until_quiet(proxy: PlantedProxy) -> None:
    before = -1
    while before != (before := outcomes(proxy, "memories")):
        time.sleep(0.05)


@pytest.mark.parametrize(
    "path", ["/api/memories", "/api/memories?limit=1&offset=7", "/api/memory/{id}", "/api/memory/{id}/history",
             "/api/memory/no-such-memory"]
)  # fmt: skip
def test_a_read_is_answered_by_legacy_and_found_equal(proxy: PlantedProxy, path: str) -> None:
    row = judged(proxy, path.replace("{id}", memory_id(proxy)))

    assert (row["verdict"], row["group"]) == ("equal", "memories")
    assert row["route"].startswith("GET /api/memor")


def test_head_is_compared_without_a_body(proxy: PlantedProxy) -> None:
    before = compared(proxy)
    reply = httpx.head(proxy.url + "/api/memories", headers={"x-plant": "key:extra"}, trust_env=False)
    assert reply.headers[SERVED_BY] == "legacy"
    proxy.wait_for(lambda: compared(proxy) > before)
    assert newest(proxy)["verdict"] == "equal"


@pytest.mark.parametrize(
    ("plant", "path", "values"),
    [
        ("key:extra", "body.extra", ("(absent)", "1")),
        ("status:203", "status", ("200", "203")),
        ("field:yes", "headers.x-planted", ("(absent)", "yes")),
        ("layout:", "body", None),
    ],
)
def test_a_difference_that_is_there_again_freezes_the_group_and_says_which(
    proxy: PlantedProxy, plant: str, path: str, values: tuple[str, str] | None
) -> None:
    row = judged(proxy, "/api/memories?limit=5", **{"x-plant": plant})

    assert (row["verdict"], row["reason"], row["path"]) == ("differs", "confirmed", path)
    assert values is None or (row["legacy"], row["native"]) == values
    assert f"GET /api/memories differs at {path}" in frozen(proxy)
    assert proxy.get("/api/memories").status_code == 200
    shown = proxy.cli("cutover", "comparisons").output
    assert "/api/memories?limit=5" in shown
    assert path in shown
    assert "differ" in proxy.cli("status").output


def test_a_handler_that_raises_in_shadow_is_a_finding_with_its_place(proxy: PlantedProxy) -> None:
    row = judged(proxy, "/api/memories", **{"x-plant": "raise:x"})

    assert (row["path"], row["legacy"]) == ("handler", "status 200")
    assert row["native"].startswith("KeyError at planted_proxy.py:")
    assert "KeyError" in frozen(proxy)


def test_content_of_memories_and_queries_is_not_kept(proxy: PlantedProxy) -> None:
    row = judged(proxy, "/api/memories?limit=1&note=violet", **{"x-plant": f"text:{SECRET_TEXT}"})

    assert (row["path"], row["verdict"]) == ("body.memories[0].content", "differs")
    assert row["target"] == "/api/memories?limit=1&note=…"
    kept = proxy.get("/_proxy/comparisons").text + frozen(proxy)
    assert "violet" not in kept.lower()
    assert f"text of {len(SECRET_TEXT)} characters" in row["legacy"]


def test_the_native_answer_is_made_from_what_legacy_saw(proxy: PlantedProxy) -> None:
    seen = outcomes(proxy, "memories")
    proxy.get("/api/memories", **{"x-plant": "slow:0.6"})
    proxy.post("/api/memory/remember", {"content": f"written meanwhile at {time.time()}"})
    proxy.wait_for(lambda: outcomes(proxy, "memories") > seen)

    assert newest(proxy)["verdict"] == "equal"


def test_a_write_that_comes_between_the_two_looks_makes_a_difference_count_for_nothing(proxy: PlantedProxy) -> None:
    until_quiet(proxy)
    seen = outcomes(proxy, "memories")
    with httpx.Client(base_url=proxy.url, trust_env=False) as client:
        client.get("/api/memories", headers={"x-plant": "slow-key:0.6"})
        client.post("/api/memory/remember", json={"content": f"written between at {time.time()}"})
    proxy.wait_for(lambda: outcomes(proxy, "memories") > seen)

    row = newest(proxy)
    assert (row["verdict"], row["reason"]) == ("skipped", "the database changed")
    assert not frozen(proxy)


def test_recall_is_compared_and_its_accesses_are_counted_by_legacy_alone(proxy: PlantedProxy) -> None:
    memory = memory_id(proxy)
    before = proxy.get(f"/api/memory/{memory}").json()["access_count"]
    for _ in range(3):
        row = recalled(proxy, "cellar door")
        assert (row["verdict"], row["route"]) == ("equal", "POST /api/memory/recall")
    assert proxy.get(f"/api/memory/{memory}").json()["access_count"] == before + 3


def test_recall_that_differs_freezes_only_when_a_second_one_differs_too(proxy: PlantedProxy) -> None:
    row = recalled(proxy, "cellar door", **{"x-plant": "key:extra"})
    assert (row["verdict"], row["reason"], row["path"]) == ("differs", "not confirmed yet", "body.extra")
    assert not frozen(proxy, "recall")

    row = recalled(proxy, "door code", **{"x-plant": "key:extra"})
    assert row["reason"] == "confirmed"
    assert "POST /api/memory/recall differs at body.extra" in frozen(proxy, "recall")


def test_searches_of_the_recall_group_are_compared(proxy: PlantedProxy) -> None:
    assert judged(proxy, "/memory/search?q=cellar", "recall")["verdict"] == "equal"
    assert judged(proxy, f"/memory/similar?id={memory_id(proxy)}", "recall")["verdict"] == "equal"


def test_a_route_that_the_stand_in_lacks_is_not_compared(proxy: PlantedProxy) -> None:
    before = tally(proxy)["skipped"].get("the stand-in lacks the route", 0)
    assert proxy.get("/api/memory/timeline").status_code == 404
    proxy.wait_for(lambda: tally(proxy)["skipped"].get("the stand-in lacks the route", 0) == before + 1)
    assert not frozen(proxy)


def test_a_group_that_writes_is_never_run_natively_in_shadow(proxy: PlantedProxy) -> None:
    proxy.cli("cutover", "set", "remember", "config", "shadow")
    reply = proxy.post("/api/memory/remember", {"content": f"only once {time.time()}"}, **{"x-plant": "before"})

    assert reply.headers[SERVED_BY] == "legacy"
    assert reply.json()["id"] != "planted"
    until_quiet(proxy)
    assert not frozen(proxy, "remember")
    assert outcomes(proxy, "remember") == 0


def test_a_request_that_names_its_side_is_not_compared(proxy: PlantedProxy) -> None:
    until_quiet(proxy)
    before = outcomes(proxy, "memories")
    proxy.get("/api/memories", **{"x-signet-route": "legacy", "x-plant": "key:extra"})
    until_quiet(proxy)
    assert outcomes(proxy, "memories") == before
    assert not frozen(proxy)


def test_a_slow_native_answer_is_noticed_by_nobody_and_no_more_than_two_are_under_way(proxy: PlantedProxy) -> None:
    until_quiet(proxy)
    skipped = tally(proxy)["skipped"].get("busy with others", 0)
    started = time.monotonic()
    with httpx.Client(base_url=proxy.url, trust_env=False) as client:
        for _ in range(20):
            assert client.get("/api/memories", headers={"x-plant": "slow:2"}).headers[SERVED_BY] == "legacy"
    took = time.monotonic() - started

    assert took < 1.5, "twenty answers, each of whose native counterparts takes 2 s"
    assert tally(proxy)["skipped"]["busy with others"] == skipped + 18
    before = compared(proxy)
    proxy.wait_for(lambda: compared(proxy) == before + 2)


def test_the_command_lists_every_comparison_when_asked(proxy: PlantedProxy) -> None:
    judged(proxy, "/api/memories?limit=3")
    assert "/api/memories?limit=3" not in proxy.cli("cutover", "comparisons").output
    assert "equal  GET /api/memories  /api/memories?limit=3" in proxy.cli("cutover", "comparisons", "--all").output
    document = json.loads(proxy.cli("cutover", "comparisons", "--json").output)
    assert list(document) == ["share", "groups", "differing", "newest"]


def test_numbers_tell_how_sure_one_can_be(proxy: PlantedProxy) -> None:
    row = tally(proxy, "recall")
    assert row["compared"] == row["equal"] + row["differing"]
    assert row["bound"] is None or row["bound"] == min(1, 3 / row["equal"])
    text = proxy.get("/_proxy/metrics").text
    assert f'signet_proxy_comparisons_total{{group="recall",verdict="equal"}} {row["equal"]}' in text


def test_without_a_daemon_nothing_is_compared_and_the_proxy_stops_cleanly(tmp_path: Path) -> None:
    with PlantedProxy(tmp_path, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH), SIGNET_SHADOW_SHARE="1") as proxy:
        proxy.until_legacy("ready")
        proxy.post("/api/memory/remember", {"content": "one"})
        warm_up(proxy)
        os.kill(proxy.status()["legacy"]["pid"], signal.SIGSTOP)
        proxy.until_legacy("wedged")
        assert proxy.get("/api/memories").status_code == 503
        proxy.wait_for(lambda: tally(proxy)["skipped"].get("legacy gave no whole reply", 0) > 0)
        assert not frozen(proxy)
    assert "Traceback" not in proxy.output
