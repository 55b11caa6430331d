"""`/health`, `/health/live` and `/health/ready` of a running proxy, in every state of the daemon behind it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy.legacy.daemons import NEVER_LISTENS
from tests.proxy.running_proxy import RunningProxy


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """A proxy with a ready daemon, for tests that leave both as they were."""
    with RunningProxy(tmp_path_factory.mktemp("health")) as proxy:
        proxy.until_legacy("ready")
        yield proxy


def test_health_has_legacys_keys_in_its_order_then_ours(shared: RunningProxy) -> None:
    body = shared.get("/health").json()

    assert list(body) == [
        "status", "uptime", "pid", "version", "port", "agentsDir", "db", "updateAvailable", "pendingRestart", "proxy",
    ]  # fmt: skip


def test_health_tells_our_pid_and_port_and_legacys_version(shared: RunningProxy) -> None:
    body = shared.get("/health").json()

    assert body["status"] == "healthy"
    assert body["pid"] == shared.pid
    assert body["port"] == int(shared.environment["SIGNET_PORT"])
    assert body["version"] == "0.58.1"
    assert body["agentsDir"] == str(shared.home_path)
    assert body["db"] is True
    assert 0 < body["uptime"] < 600


def test_health_is_answered_natively_without_white_space(shared: RunningProxy) -> None:
    reply = shared.get("/health")

    assert reply.headers["x-signet-served-by"] == "native"
    assert reply.headers["content-type"] == "application/json"
    assert reply.content.startswith(b'{"status":"healthy","uptime":')


def test_a_ready_proxy_is_ready_and_live(shared: RunningProxy) -> None:
    ready, live = shared.get("/health/ready"), shared.get("/health/live")

    assert (ready.status_code, ready.json()) == (200, {"ready": True, "degraded": [], "vectors": None})
    assert live.status_code == 200
    assert live.json()["pid"] == shared.pid


def test_health_answers_at_once_while_legacy_never_gets_ready(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, daemon=NEVER_LISTENS) as proxy:
        body = proxy.get("/health").json()
        ready = proxy.get("/health/ready")

    assert body["status"] == "healthy"
    assert body["version"] == "0.58.1"
    assert body["db"] is False
    assert body["proxy"]["degraded"] == ["legacy"]
    assert ready.status_code == 503
    assert ready.json()["degraded"][0]["reason_code"] == "legacy_starting"


def test_health_answers_at_once_while_legacy_is_stopped_in_its_tracks(tmp_path: Path) -> None:
    with RunningProxy(tmp_path) as proxy:
        proxy.until_legacy("ready")
        child = proxy.status()["legacy"]["pid"]
        os.kill(child, signal.SIGSTOP)
        try:
            elapsed_s = proxy.get("/health").elapsed.total_seconds()
        finally:
            os.kill(child, signal.SIGCONT)

    assert elapsed_s < 1.0


def test_readiness_names_a_killed_legacy_and_recovers_with_it(tmp_path: Path) -> None:
    with RunningProxy(tmp_path) as proxy:
        proxy.until_legacy("ready")
        os.kill(proxy.status()["legacy"]["pid"], signal.SIGKILL)
        proxy.wait_for(lambda: proxy.get("/health/ready").status_code == 503)
        alive = proxy.get("/health")

        proxy.wait_for(lambda: proxy.get("/health/ready").status_code == 200)
        after = proxy.status()["legacy"]

    assert alive.status_code == 200
    assert after["restarts"] == 1
    assert after["last_death"]["signal"] == "SIGKILL"


def test_readiness_names_a_broken_cutover_file(tmp_path: Path) -> None:
    with RunningProxy(tmp_path) as proxy:
        proxy.until_legacy("ready")
        (proxy.home_path / ".daemon" / "cutover.yaml").write_text("groups:\n  recal: native\n")

        proxy.wait_for(lambda: proxy.get("/health/ready").status_code == 503)
        (finding,) = proxy.get("/health/ready").json()["degraded"]

    assert (finding["component"], finding["reason_code"]) == ("cutover", "file_not_in_force")
    assert "unknown group 'recal'" in finding["effect"]
    assert finding["since"].endswith("Z")


def test_readiness_names_a_frozen_group_until_it_is_lifted(shared: RunningProxy) -> None:
    shared.post("/_proxy/cutover", {"action": "freeze", "groups": ["recall"], "reason": "answers diverged"})
    frozen = shared.get("/health/ready")
    shared.post("/_proxy/cutover", {"action": "lift", "groups": ["recall"]})

    assert frozen.status_code == 503
    assert frozen.json()["degraded"][0]["component"] == "group recall"
    assert shared.get("/health/ready").status_code == 200


def test_readiness_names_an_auth_mode_that_does_not_exist(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, agent_yaml="auth:\n  mode: teem\n") as proxy:
        proxy.until_legacy("ready")
        (finding,) = proxy.get("/health/ready").json()["degraded"]

    assert finding["component"] == "auth"
    assert "'teem'" in finding["effect"]


def test_health_needs_no_token_in_team_mode(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, agent_yaml="auth:\n  mode: team\n") as proxy:
        replies = [proxy.get(path).status_code for path in ("/health", "/health/live", "/_proxy/status")]

    assert replies == [200, 200, 401]
