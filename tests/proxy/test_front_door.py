"""The way of a request through a running proxy: what each station refuses, and what reaches the daemon."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.proxy.running_proxy import RunningProxy

# Says what reached it. /mcp answers only when it is told to, so that exchanges can be held open.
ECHO = """
openDatabase();
let release; const released = new Promise((resolve) => { release = resolve; });
listen(async (request) => {
  const url = new URL(request.url);
  if (url.pathname === "/health") return Response.json(health);
  if (url.pathname === "/release") release();
  if (url.pathname === "/mcp") await released;
  const headers = Object.fromEntries(request.headers);
  return Response.json({ method: request.method, path: url.pathname, headers },
    { headers: { "access-control-allow-origin": "*" } });
});
"""
FOREIGN = "https://evil.example"
OWN = "app://signet"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    with RunningProxy(tmp_path_factory.mktemp("door"), daemon=ECHO) as running:
        running.until_legacy("ready")
        yield running


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    folder = tmp_path_factory.mktemp("hybrid")
    with RunningProxy(folder, daemon=ECHO, agent_yaml="auth:\n  mode: hybrid\n") as running:
        running.until_legacy("ready")
        yield running


def reached(reply: httpx.Response) -> dict[str, Any]:
    assert reply.headers["x-signet-served-by"] == "legacy", reply.text
    headers: dict[str, Any] = reply.json()["headers"]
    return headers


def refused(reply: httpx.Response, status: int) -> str:
    assert reply.status_code == status, reply.text
    assert reply.headers["x-signet-served-by"] == "native"
    error: str = reply.json()["error"]
    return error


def test_foreign_host_is_refused_with_the_way_out(proxy: RunningProxy) -> None:
    assert "SIGNET_ALLOWED_HOSTS" in refused(proxy.get("/api/any", host="evil.example"), 403)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_foreign_origin_is_refused_for_every_method_and_gets_no_grant(proxy: RunningProxy, method: str) -> None:
    reply = httpx.request(method, proxy.url + "/api/any", headers={"origin": FOREIGN}, trust_env=False)
    assert reply.status_code == 403
    assert "access-control-allow-origin" not in reply.headers


def test_allowed_origin_is_granted_by_name_and_no_origin_as_legacy_does(proxy: RunningProxy) -> None:
    reply = proxy.get("/api/any", origin=OWN)
    assert reply.headers.get_list("access-control-allow-origin") == [OWN]
    assert "origin" in reply.headers["vary"].lower()
    assert proxy.get("/api/any").headers.get_list("access-control-allow-origin") == ["*"]


def test_preflight_of_an_allowed_origin_is_answered_here(proxy: RunningProxy) -> None:
    asked = {"origin": OWN, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    reply = httpx.options(proxy.url + "/api/memory/remember", headers=asked, trust_env=False)
    assert (reply.status_code, reply.headers["x-signet-served-by"]) == (204, "native")
    assert reply.headers["access-control-allow-origin"] == OWN
    assert reply.headers["access-control-allow-headers"] == "content-type"


def test_plain_options_is_the_daemons(proxy: RunningProxy) -> None:
    reply = httpx.options(proxy.url + "/api/any", trust_env=False)
    assert reply.json()["method"] == "OPTIONS"


def test_forwarding_fields_of_a_stranger_do_not_reach_the_daemon(proxy: RunningProxy) -> None:
    sent = {"x-forwarded-for": "1.2.3.4", "x-forwarded-host": "h", "forwarded": "for=1.2.3.4", "x-real-ip": "1.2.3.4"}
    headers = reached(proxy.get("/api/any", **sent))
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert not {"x-forwarded-host", "forwarded", "x-real-ip"} & headers.keys()


def test_nothing_is_invented_for_a_plain_request(proxy: RunningProxy) -> None:
    headers = reached(httpx.get(proxy.url + "/api/any", headers={"x-signet-actor": "me"}, trust_env=False))
    assert headers["x-signet-actor"] == "me"
    assert headers.keys() <= {"host", "accept", "accept-encoding", "user-agent", "x-signet-actor", "connection"}


def test_override_stays_here_and_may_not_force_what_has_no_handler(proxy: RunningProxy) -> None:
    assert "x-signet-route" not in reached(proxy.get("/api/memories", **{"x-signet-route": "legacy"}))
    assert "cannot be answered natively" in refused(proxy.get("/api/tasks", **{"x-signet-route": "native"}), 409)


def test_override_sends_health_to_the_daemon_and_still_shows_our_pid_and_port(proxy: RunningProxy) -> None:
    reply = proxy.get("/health", **{"x-signet-route": "legacy"})
    assert reply.headers["x-signet-served-by"] == "legacy"
    assert reply.json()["pid"] == proxy.pid


def test_own_pages_are_for_this_machine_and_for_admins(hybrid: RunningProxy) -> None:
    assert hybrid.get("/_proxy/status").status_code == 200
    behind_a_proxy = {"x-forwarded-for": "203.0.113.9"}
    assert hybrid.get("/_proxy/status", **behind_a_proxy).status_code == 401
    reader = hybrid.cli("token", "create", "--role", "readonly").output.strip()
    admin = hybrid.cli("token", "create", "--role", "admin").output.strip()
    refusal = hybrid.get("/_proxy/status", authorization=f"Bearer {reader}", **behind_a_proxy)
    assert "for callers on this machine and for admin tokens" in refused(refusal, 403)
    assert hybrid.get("/_proxy/status", authorization=f"Bearer {admin}", **behind_a_proxy).status_code == 200


def test_a_caller_of_this_machine_with_a_token_needs_an_admins_to_change_the_proxy(hybrid: RunningProxy) -> None:
    lift = {"action": "lift", "groups": ["recall"]}
    told: dict[str, str] = {}
    for role in ("operator", "admin"):
        token = hybrid.cli("token", "create", "--role", role).output.strip()
        headers = {"authorization": f"Bearer {token}"}
        assert hybrid.get("/_proxy/cutover", **headers).status_code == 200
        reply = httpx.post(hybrid.url + "/_proxy/cutover", json=lift, headers=headers, trust_env=False)
        told[role] = refused(reply, 403 if role == "operator" else 409)
    assert told["operator"] == "changes of the proxy need an admin token from a caller that shows a token"


def test_hybrid_lets_this_machine_in_and_asks_who_comes_through_a_reverse_proxy(hybrid: RunningProxy) -> None:
    assert hybrid.get("/api/any").status_code == 200
    assert hybrid.get("/api/any", **{"x-forwarded-for": "203.0.113.9"}).status_code == 401
    assert hybrid.get("/api/any", via="1.1 nginx").status_code == 401
    assert hybrid.get("/health", via="1.1 nginx").status_code == 200


@pytest.mark.parametrize(
    "target", ["/api/x/../secrets/exec", "/api/%2e%2e/api/secrets/exec", "/api\\secrets\\exec", "/api/secrets/exec#x"]
)
def test_a_path_trick_does_not_pass_the_guard_of_the_route_that_the_daemon_executes(
    hybrid: RunningProxy, target: str
) -> None:
    reader = hybrid.cli("token", "create", "--role", "readonly").output.strip()
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {reader}\r\nVia: x\r\n"
    reply = raw_exchange(hybrid, head + "Content-Length: 0\r\nConnection: close\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 403 "), reply
    assert b"lacks 'remember' permission" in reply


def raw_exchange(proxy: RunningProxy, request: str) -> bytes:
    """For targets that no HTTP client sends as they are."""
    with socket.create_connection(("127.0.0.1", int(proxy.environment["SIGNET_PORT"])), 10) as connection:
        connection.sendall(request.encode())
        received = b""
        while piece := connection.recv(65_536):
            received += piece
        return received


def test_mcp_exchanges_beyond_32_are_told_to_come_back(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, daemon=ECHO) as proxy:
        proxy.until_legacy("ready")
        replies: list[httpx.Response] = []
        asking = [threading.Thread(target=lambda: replies.append(proxy.post("/mcp", {}))) for _ in range(32)]
        for thread in asking:
            thread.start()
        proxy.wait_for(lambda: proxy.status()["counters"]["in_flight"] >= 33)
        reply = proxy.post("/mcp", {})
        assert (reply.status_code, reply.headers["x-signet-proxy-error"]) == (503, "mcp_busy")
        assert proxy.get("/release").status_code == 200
        for thread in asking:
            thread.join(20)
        assert [reply.status_code for reply in replies] == [200] * 32
