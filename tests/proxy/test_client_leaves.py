"""A client that leaves while the embedder works: what it asked for is done to the end, as in legacy."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from parity_tests.harness.embedder import Embedder
from proxy.legacy.find import STAND_IN_PATH
from tests.proxy.running_proxy import EveryGroupNative, RunningProxy

CONFIG = """configVersion: 99
embedding:
  provider: ollama
  model: parity
  dimensions: 768
  base_url: {url}
memory:
  pipelineV2:
    enabled: false
"""


def test_memory_gets_its_vector_though_its_client_has_left(tmp_path: Path) -> None:
    groups = ("remember", "modify", "embeddings", "memories")
    with (
        Embedder("slow") as embedder,
        EveryGroupNative(
            tmp_path, *groups, agent_yaml=CONFIG.format(url=embedder.url), SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)
        ) as proxy,
    ):
        proxy.until_legacy("ready")
        proxy.wait_for(lambda: proxy.get("/api/memories").headers["x-signet-served-by"] == "native")
        ask_and_leave(proxy, embedder, "POST", "/api/memory/remember", {"content": "left behind"})
        proxy.wait_for(lambda: vectors(proxy) == ["left behind"])

        memory_id = proxy.get("/api/memories").json()["memories"][0]["id"]
        change = {"reason": "r", "content": "changed behind its back"}
        ask_and_leave(proxy, embedder, "PATCH", f"/api/memory/{memory_id}", change)
        proxy.wait_for(lambda: vectors(proxy) == ["changed behind its back"])
        assert proxy.get(f"/api/memory/{memory_id}").json()["version"] == 2


def vectors(proxy: RunningProxy) -> list[str]:
    """Contents of the memories that have one."""
    return [row["content"] for row in proxy.get("/api/embeddings").json()["embeddings"]]


def ask_and_leave(proxy: RunningProxy, embedder: Embedder, method: str, target: str, value: object) -> None:
    """Gone before the embedder has answered."""
    embedder.take_calls()
    body = json.dumps(value).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(proxy.environment["SIGNET_PORT"]))) as client:
        client.sendall(head.encode() + body)
        proxy.wait_for(embedder.take_calls)
