"""What a client gets when a native answer goes wrong, with a real daemon behind, and what becomes of the group."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.legacy.find import STAND_IN_PATH
from tests.proxy.planted_proxy import LATE_S, PlantedProxy

SERVED_BY = "x-signet-served-by"
NATIVE = ("memories", "recall", "remember", "config", "identity")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantedProxy]:
    with PlantedProxy(tmp_path_factory.mktemp("answer"), SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)) as running:
        running.until_legacy("ready")
        running.post("/api/memory/remember", {"content": "I prefer tea."})
        yield running


@pytest.fixture
def proxy(shared: PlantedProxy) -> PlantedProxy:
    """Every planted group answers natively."""
    for group in NATIVE:
        if frozen(shared, group):
            shared.cli("cutover", "lift", group)
    shared.cli("cutover", "set", *NATIVE, "native")
    assert shared.get("/api/memories").headers[SERVED_BY] == "native"
    return shared


def frozen(proxy: PlantedProxy, group: str = "memories") -> str:
    """Why the group is frozen; "" when it is not."""
    row = next(row for row in proxy.status()["cutover"]["groups"] if row["group"] == group)
    return str(row["reason"]) if row["frozen"] else ""


def faults(proxy: PlantedProxy, group: str, what: str) -> int:
    found = proxy.status()["counters"]["native_faults"]
    return sum(fault["n"] for fault in found if (fault["group"], fault["what"]) == (group, what))


def memories_of_legacy(proxy: PlantedProxy) -> list[str]:
    reply = proxy.get("/api/memories", **{"x-signet-route": "legacy"})
    return [memory["content"] for memory in reply.json()["memories"]]


def notes(proxy: PlantedProxy) -> list[str]:
    """What native handlers committed."""
    found: list[str] = proxy.get("/api/identity", **{"x-signet-route": "native"}).json()
    return found


def remember(proxy: PlantedProxy, content: str, plant: str = "", path: str = "/api/memory/remember") -> httpx.Response:
    """The body is longer than what a connection buffers."""
    body = {"content": content, "file": "USER.md", "pad": "x" * 200_000}
    return proxy.post(path, body, **{"x-plant": plant})


def test_a_read_whose_handler_raises_is_answered_by_legacy_and_its_group_frozen(proxy: PlantedProxy) -> None:
    before = faults(proxy, "memories", "raised")
    reply = proxy.get("/api/memories", **{"x-plant": "raise:oh"})

    assert (reply.status_code, reply.headers[SERVED_BY]) == (200, "legacy")
    assert reply.json()["memories"][-1]["content"] == "I prefer tea."
    assert "native answer to GET /api/memories raised KeyError at planted_proxy.py:" in frozen(proxy)
    assert faults(proxy, "memories", "raised") == before + 1
    assert f'signet_proxy_native_faults_total{{group="memories",what="raised"}} {before + 1}' in metrics(proxy)
    assert proxy.get("/api/memories").headers[SERVED_BY] == "legacy"
    assert "memories: raised" in proxy.cli("status").output


def metrics(proxy: PlantedProxy) -> str:
    return proxy.get("/_proxy/metrics").text


def test_recall_whose_handler_raises_is_asked_of_legacy_with_its_body(proxy: PlantedProxy) -> None:
    reply = proxy.post("/api/memory/recall", {"query": "tea"}, **{"x-plant": "raise:oh"})

    assert (reply.status_code, reply.headers[SERVED_BY]) == (200, "legacy")
    assert reply.json()["query"] == "tea"


def test_a_write_that_raises_before_it_commits_is_replayed_to_legacy(proxy: PlantedProxy) -> None:
    for where in ("before", "in work"):
        proxy.cli("cutover", "lift", "remember")
        text = f"raised {where} at {time.time()}"
        reply = remember(proxy, text, where)

        assert (reply.status_code, reply.headers[SERVED_BY]) == (200, "legacy"), where
        assert reply.json()["id"] != "planted"
        assert text in memories_of_legacy(proxy), where
        assert "POST /api/memory/remember raised KeyError" in frozen(proxy, "remember")


@pytest.mark.parametrize("where", ["after", "after, together"])
def test_a_write_that_raises_after_it_committed_is_not_replayed(proxy: PlantedProxy, where: str) -> None:
    text = f"raised after at {time.time()}"
    reply = remember(proxy, text, where)

    assert (reply.status_code, reply.text) == (500, "Internal Server Error")
    assert reply.headers[SERVED_BY] == "native"
    assert text in notes(proxy)
    assert text not in memories_of_legacy(proxy)
    assert "raised KeyError" in frozen(proxy, "remember")


def test_a_write_to_more_than_rows_is_not_replayed(proxy: PlantedProxy) -> None:
    reply = remember(proxy, "new", "before", "/api/config")

    assert (reply.status_code, reply.text, reply.headers[SERVED_BY]) == (500, "Internal Server Error", "native")
    assert not (proxy.home_path / "USER.md").exists()
    assert frozen(proxy, "config")


def test_a_route_that_the_stand_in_lacks_is_not_sent_to_it(proxy: PlantedProxy) -> None:
    reply = proxy.get("/api/memory/timeline", **{"x-plant": "raise:oh"})
    assert (reply.status_code, reply.text) == (500, "Internal Server Error")
    assert frozen(proxy)


def test_a_handler_over_its_time_is_told_and_its_group_stays(proxy: PlantedProxy) -> None:
    memory = proxy.get("/api/memories").json()["memories"][0]["id"]
    started = time.monotonic()
    reply = proxy.get(f"/api/memory/{memory}/history", **{"x-plant": "slow:30"})

    assert (reply.status_code, reply.headers["x-signet-proxy-error"]) == (504, "native_deadline")
    assert reply.json()["code"] == "native_deadline"
    assert LATE_S <= time.monotonic() - started < 15
    assert faults(proxy, "memories", "late") >= 1
    assert not frozen(proxy)
    assert proxy.get("/api/memories").headers[SERVED_BY] == "native"


def request_and_leave(proxy: PlantedProxy, head: bytes, body: bytes = b"") -> None:
    with socket.create_connection(("127.0.0.1", int(proxy.environment["SIGNET_PORT"])), 5) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        proxy.wait_for(lambda: proxy.status()["counters"]["in_flight"] == 2)


def test_a_client_that_leaves_ends_a_read(proxy: PlantedProxy) -> None:
    request_and_leave(proxy, b"GET /api/memories HTTP/1.1\r\nHost: localhost\r\nx-plant: slow:30\r\n")
    left = time.monotonic()
    proxy.wait_for(lambda: proxy.status()["counters"]["in_flight"] == 1)
    assert time.monotonic() - left < 15
    assert not frozen(proxy)


def test_a_client_that_leaves_does_not_end_a_write(proxy: PlantedProxy) -> None:
    text = f"left at {time.time()}"
    remember(proxy, "so that the table is there")
    body = b'{"content":"%s"}' % text.encode()
    head = b"POST /api/memory/remember HTTP/1.1\r\nHost: localhost\r\nx-plant: slowly\r\n"
    request_and_leave(proxy, head, body)
    proxy.wait_for(lambda: text in notes(proxy))


def test_a_body_over_the_limit_is_refused_before_it_is_sent(proxy: PlantedProxy) -> None:
    head = b"POST /api/memory/remember HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857601\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(proxy.environment["SIGNET_PORT"])), 5) as connection:
        connection.sendall(head)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_head_is_answered_as_get_without_body_and_length(proxy: PlantedProxy) -> None:
    def head(side: str) -> httpx.Response:
        return httpx.head(proxy.url + "/api/memories", headers={"x-signet-route": side}, trust_env=False)

    native, legacy = head("native"), head("legacy")
    assert (native.headers[SERVED_BY], legacy.headers[SERVED_BY]) == ("native", "legacy")
    assert native.content == b""
    own = {"date", SERVED_BY}
    assert {k: v for k, v in native.headers.items() if k not in own} == {
        k: v for k, v in legacy.headers.items() if k not in own
    }


@pytest.mark.parametrize("group", ["memories", "recall"])
def test_after_cutover_set_legacy_the_next_request_on_the_same_connection_is_legacys(
    proxy: PlantedProxy, group: str
) -> None:
    with httpx.Client(base_url=proxy.url, trust_env=False) as client:

        def ask() -> Any:
            if group == "recall":
                return client.post("/api/memory/recall", json={"query": "tea"}).headers[SERVED_BY]
            return client.get("/api/memories").headers[SERVED_BY]

        for _ in range(3):
            assert ask() == "native"
            proxy.cli("cutover", "set", group, "legacy")
            assert ask() == "legacy"
            proxy.cli("cutover", "set", group, "native")


def test_a_handler_that_raises_while_legacy_is_away_is_answered_as_legacy_would_and_then_503(tmp_path: Path) -> None:
    with PlantedProxy(tmp_path, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)) as proxy:
        proxy.until_legacy("ready")
        proxy.cli("cutover", "set", "memories", "native")
        os.kill(proxy.status()["legacy"]["pid"], signal.SIGSTOP)
        proxy.until_legacy("wedged")
        reply = proxy.get("/api/memories", **{"x-plant": "raise:oh"})
        assert (reply.status_code, reply.text) == (500, "Internal Server Error")
        after = proxy.get("/api/memories")
        assert (after.status_code, after.headers["x-signet-proxy-error"]) == (503, "legacy_wedged")
        assert proxy.get("/health").status_code == 200


def test_a_request_that_its_handler_leaves_is_legacys_alone_and_freezes_nothing(proxy: PlantedProxy) -> None:
    before = notes(proxy)
    reply = remember(proxy, "Legacy answers this one.", plant="left")

    assert (reply.status_code, reply.headers[SERVED_BY]) == (200, "legacy")
    assert "Legacy answers this one." in memories_of_legacy(proxy)
    assert notes(proxy) == before
    assert not frozen(proxy, "remember")
    assert remember(proxy, "This one is ours.").headers[SERVED_BY] == "native"
