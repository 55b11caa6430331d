"""The first group beyond health that is proven: cut over and back in a running proxy, and answering without legacy."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.legacy.find import STAND_IN_PATH
from tests.proxy.running_proxy import RunningProxy

SERVED_BY = "x-signet-served-by"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[RunningProxy]:
    with RunningProxy(tmp_path, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)) as running:
        running.until_legacy("ready")
        yield running


def test_a_proven_read_is_native_by_default_and_cutover_moves_the_next_request(proxy: RunningProxy) -> None:
    proxy.post("/api/memory/remember", {"content": "I prefer tea."})
    native = proxy.get("/api/memories")
    assert native.headers[SERVED_BY] == "native"

    assert proxy.cli("cutover", "set", "memories", "legacy").exit_code == 0
    legacys = proxy.get("/api/memories")
    assert (legacys.headers[SERVED_BY], legacys.content) == ("legacy", native.content)

    assert proxy.cli("cutover", "set", "memories", "native").exit_code == 0
    proxy.post("/api/memory/remember", {"content": "I prefer coffee."})
    again = proxy.get("/api/memories")
    assert again.headers[SERVED_BY] == "native"
    assert again.json()["stats"]["total"] == 2, "what legacy commits is seen at once"


def test_native_group_answers_while_legacy_is_stopped_dead_or_starting_again(proxy: RunningProxy) -> None:
    memory_id = proxy.post("/api/memory/remember", {"content": "I prefer tea."}).json()["id"]
    proxy.cli("cutover", "set", "memories", "native")
    pid = proxy.status()["legacy"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    proxy.until_legacy("wedged")
    assert proxy.get(f"/api/memory/{memory_id}").json()["content"] == "I prefer tea."
    os.kill(pid, signal.SIGKILL)
    for _ in range(20):
        reply = proxy.get("/api/memories")
        assert (reply.status_code, reply.headers[SERVED_BY]) == (200, "native")
    proxy.until_legacy("ready")
    assert proxy.get(f"/api/memory/{memory_id}").headers[SERVED_BY] == "native"


def test_frozen_group_is_legacys_until_it_is_lifted(proxy: RunningProxy) -> None:
    proxy.cli("cutover", "set", "memories", "native")
    proxy.cli("cutover", "freeze", "memories", "--reason", "a test")
    assert proxy.get("/api/memories").headers[SERVED_BY] == "legacy"
    proxy.cli("cutover", "lift", "memories")
    assert proxy.get("/api/memories").headers[SERVED_BY] == "native"
