"""Status and embeddings answered natively by a running proxy whose daemon hangs, dies and comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from native_routes.outside import BORROW_WITHIN_S
from proxy.legacy.find import STAND_IN_PATH
from tests.proxy.running_proxy import RunningProxy

ROUTES = (
    *("/api/status", "/api/features", "/api/auth/whoami", "/api/auth/status", "/api/home/greeting"),
    *("/api/embeddings", "/api/embeddings?vectors=true", "/api/embeddings/status", "/api/embeddings/health"),
)
QUIET = "embedding:\n  provider: none\nmemory:\n  pipelineV2:\n    predictor:\n      enabled: false\n"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[RunningProxy]:
    with RunningProxy(tmp_path, agent_yaml=QUIET, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)) as running:
        running.until_legacy("ready")
        yield running


def natively(proxy: RunningProxy, path: str) -> httpx.Response:
    """The native answer, whatever the modes are."""
    reply = proxy.get(path, **{"x-signet-route": "native"})
    assert (reply.status_code, reply.headers["x-signet-served-by"]) == (200, "native"), reply.text
    return reply


def test_status_shows_the_proxy_and_what_legacy_alone_knows(proxy: RunningProxy) -> None:
    shown = natively(proxy, "/api/status").json()
    assert shown["pid"] == proxy.pid
    assert proxy.url.endswith(f":{shown['port']}")
    legacys = proxy.get("/api/status", **{"x-signet-route": "legacy"}).json()
    assert shown["providerResolution"] == legacys["providerResolution"]
    assert shown["update"] == legacys["update"]


def test_every_route_answers_quickly_while_legacy_hangs_and_when_it_is_dead(proxy: RunningProxy) -> None:
    before = {path: natively(proxy, path).json() for path in ROUTES}
    pid = proxy.status()["legacy"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    quickest_s = dict.fromkeys(ROUTES, 10.0)
    for _ in range(6):
        for path in ROUTES:
            began_s = time.monotonic()
            assert natively(proxy, path).json().keys() == before[path].keys()
            quickest_s[path] = min(quickest_s[path], time.monotonic() - began_s)
    assert max(quickest_s.values()) < BORROW_WITHIN_S, "silence is waited for once, then not for a while"
    os.kill(pid, signal.SIGKILL)
    for path in ROUTES:
        assert natively(proxy, path).json().keys() == before[path].keys()


def test_auth_status_is_told_to_whom_a_token_is_missing(tmp_path: Path) -> None:
    team = f"{QUIET}auth:\n  mode: team\n"
    with RunningProxy(tmp_path, agent_yaml=team, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)) as proxy:
        proxy.until_legacy("ready")
        assert natively(proxy, "/api/auth/status").json() == {"mode": "team", "authenticated": False}
        assert proxy.get("/api/features", **{"x-signet-route": "native"}).status_code == 401


def test_status_and_readiness_tell_how_vectors_are_searched_once_somebody_searched(tmp_path: Path) -> None:
    environment = {"SIGNET_LEGACY_DAEMON": str(STAND_IN_PATH), "SIGNET_VECTORS": "int8"}
    with RunningProxy(tmp_path, agent_yaml=QUIET, **environment) as proxy:
        proxy.until_legacy("ready")
        assert (proxy.status()["vectors"], proxy.get("/health/ready").json()["vectors"]) == (None, None)

        reply = proxy.post("/api/memory/recall", {"query": "anything"}, **{"x-signet-route": "native"})
        assert (reply.status_code, reply.headers["x-signet-served-by"]) == (200, "native"), reply.text

        told, vectors = proxy.get("/health/ready").json()["vectors"], proxy.status()["vectors"]
        assert told == {"mode": "memory", "form": "int8", "bytes_each": 796}
        assert vectors == told | {"reason": None, "vectors": 0, "memory_bytes": 0}
