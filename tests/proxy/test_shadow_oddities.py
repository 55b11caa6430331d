"""Mode shadow before a daemon whose replies move, are long, break off or come late."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.proxy.planted_proxy import PlantedProxy

# What is wrong with the reply stands in the query.
ODD = """
let requests = 0;
openDatabase().exec("CREATE TABLE IF NOT EXISTS planted (text)");
const json = (value) => new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });
listen(async (request) => {
  const url = new URL(request.url);
  if (url.pathname === "/health") return Response.json(health);
  const kind = url.searchParams.get("kind");
  const moving = { generatedAt: new Date().toISOString(), uptime: process.uptime(), requests: ++requests, name: "tea" };
  if (url.pathname === "/api/memory/recall") return new Response("busy", { status: 500 });
  switch (kind) {
    case "moving": return json(moving);
    case "renamed": return json({ ...moving, name: "coffee" });
    case "other form": return json({ ...moving, generatedAt: Date.now() });
    case "long": return json(["x".repeat(2_000_000)]);
    case "slow": await Bun.sleep(5_500); return json([]);
    case "cut": return new Response(new ReadableStream({ async start(controller) {
      controller.enqueue("[1,"); await Bun.sleep(50); controller.error(new Error("cut"));
    } }));
    default: return json([]);
  }
});
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantedProxy]:
    with PlantedProxy(tmp_path_factory.mktemp("odd"), daemon=ODD, SIGNET_SHADOW_SHARE="1") as running:
        running.until_legacy("ready")
        running.cli("cutover", "set", "identity", "shadow")
        for n in (1, 2):  # a connection for a snapshot each
            running.wait_for(lambda n=n: running.get("/api/identity").is_success and equal(running) >= n)
        yield running


def equal(proxy: PlantedProxy) -> int:
    groups: list[dict[str, Any]] = proxy.status()["shadow"]["groups"]
    return groups[0]["equal"] if groups else 0


def journalled(proxy: PlantedProxy) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = proxy.get("/_proxy/comparisons").json()["newest"]
    return rows


def judged(proxy: PlantedProxy, kind: str, plant: str = "") -> dict[str, Any]:
    proxy.cli("cutover", "lift", "identity")
    before = len(journalled(proxy))
    try:
        proxy.get(f"/api/identity?kind={kind}", **{"x-plant": plant})
    except httpx.RemoteProtocolError:
        assert kind == "cut"
    proxy.wait_for(lambda: len(journalled(proxy)) > before)
    return journalled(proxy)[0]


def is_frozen(proxy: PlantedProxy) -> bool:
    return any(row["frozen"] for row in proxy.status()["cutover"]["groups"])


def test_what_moves_in_legacys_own_answers_is_no_difference(proxy: PlantedProxy) -> None:
    row = judged(proxy, "moving", "moving")
    assert (row["verdict"], row["reason"]) == ("equal", "but for what moves")


def test_what_does_not_move_beside_it_is_a_difference(proxy: PlantedProxy) -> None:
    row = judged(proxy, "renamed", "moving")
    assert (row["verdict"], row["path"]) == ("differs", "body.name")
    assert is_frozen(proxy)


def test_what_moves_in_another_form_is_a_difference(proxy: PlantedProxy) -> None:
    assert judged(proxy, "other form", "moving")["path"] == "body.generatedAt"


@pytest.mark.parametrize(("kind", "why"), [("long", "a body is too long"), ("cut", "legacy gave no whole reply")])
def test_a_reply_that_cannot_be_compared_is_left_out_with_the_reason(proxy: PlantedProxy, kind: str, why: str) -> None:
    row = judged(proxy, kind)
    assert (row["verdict"], row["reason"]) == ("skipped", why)
    assert not is_frozen(proxy)


def test_a_reply_that_comes_late_is_left_out_before_it_is_there(proxy: PlantedProxy) -> None:
    """The snapshot is not held as long as legacy likes: it keeps the log from being folded into the file."""
    started = time.monotonic()
    row = judged(proxy, "slow")
    assert (row["verdict"], row["reason"]) == ("skipped", "legacy took too long")
    assert time.monotonic() - started >= 5.4, "the user got the reply all the same"


def test_a_recall_that_legacy_fails_at_says_nothing(proxy: PlantedProxy) -> None:
    proxy.cli("cutover", "set", "recall", "shadow")
    for _ in range(2):
        before = len(journalled(proxy))
        proxy.post("/api/memory/recall", {"query": "tea"}, **{"x-plant": "status:200"})
        proxy.wait_for(lambda before=before: len(journalled(proxy)) > before)
        assert journalled(proxy)[0]["reason"] == "legacy failed"
    assert not is_frozen(proxy)


def test_a_share_of_nothing_compares_nothing(tmp_path: Path) -> None:
    with PlantedProxy(tmp_path, daemon=ODD, SIGNET_SHADOW_SHARE="0") as proxy:
        proxy.until_legacy("ready")
        proxy.cli("cutover", "set", "identity", "shadow")
        for _ in range(20):
            proxy.get("/api/identity")
        assert proxy.status()["shadow"] == {"share": 0, "groups": []}
