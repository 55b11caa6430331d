"""What a client sees when the daemon behind the proxy dies, hangs or comes back, with a real Bun child."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.proxy.running_proxy import RunningProxy

# Notes each delivery before it answers, so that a test can count them; /api/slow never answers.
NOTING = """
import { appendFileSync } from "node:fs";
openDatabase();
listen(async (request) => {
  const url = new URL(request.url);
  if (url.pathname !== "/health") appendFileSync(`${home}/delivered`, `${request.method} ${url.pathname}\\n`);
  if (url.pathname === "/api/slow") await Bun.sleep(60_000);
  return Response.json(health);
});
"""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[RunningProxy]:
    with RunningProxy(tmp_path, daemon=NOTING) as running:
        running.until_legacy("ready")
        yield running


class Asking:
    """A request on a thread of its own; `reply()` waits for the answer."""

    def __init__(self, ask: Callable[[], httpx.Response]) -> None:
        self._reply: httpx.Response | None = None
        self._thread = threading.Thread(target=self._run, args=(ask,))
        self._thread.start()

    def _run(self, ask: Callable[[], httpx.Response]) -> None:
        self._reply = ask()

    def reply(self) -> httpx.Response:
        self._thread.join(20)
        assert self._reply is not None
        return self._reply


def child_pid(proxy: RunningProxy) -> int:
    pid: int = proxy.status()["legacy"]["pid"]
    return pid


def delivered(proxy: RunningProxy) -> list[str]:
    path = proxy.home_path / "delivered"
    return path.read_text().splitlines() if path.exists() else []


def ask_slow(proxy: RunningProxy, method: str) -> Asking:
    """A request that the daemon has begun to work on."""
    asking = Asking(lambda: httpx.request(method, proxy.url + "/api/slow", trust_env=False, timeout=20))
    proxy.wait_for(lambda: f"{method} /api/slow" in delivered(proxy))
    return asking


def problem(reply: httpx.Response) -> tuple[int, Any]:
    assert reply.headers["x-signet-served-by"] == "native"
    assert reply.headers["x-signet-proxy-error"] == reply.json()["code"]
    return reply.status_code, reply.json()["code"]


def test_post_is_delivered_once_when_the_daemon_is_killed_and_says_that_its_effect_is_unknown(
    proxy: RunningProxy,
) -> None:
    asking = ask_slow(proxy, "POST")
    os.kill(child_pid(proxy), signal.SIGKILL)
    reply = asking.reply()
    assert problem(reply) == (502, "legacy_connection_lost")
    assert "unknown" in reply.json()["error"]
    proxy.until_legacy("ready")
    assert delivered(proxy).count("POST /api/slow") == 1


def test_get_on_a_fresh_connection_is_answered_502_when_the_daemon_is_killed(proxy: RunningProxy) -> None:
    asking = ask_slow(proxy, "GET")
    os.kill(child_pid(proxy), signal.SIGKILL)
    assert problem(asking.reply()) == (502, "legacy_connection_lost")


def test_get_right_after_a_kill_waits_for_the_restart_and_succeeds(proxy: RunningProxy) -> None:
    before = child_pid(proxy)
    os.kill(before, signal.SIGKILL)
    reply = proxy.get("/api/any")
    assert (reply.status_code, reply.headers["x-signet-served-by"]) == (200, "legacy")
    assert child_pid(proxy) != before


def test_post_while_the_daemon_restarts_is_refused_at_once_and_told_when_to_come_back(proxy: RunningProxy) -> None:
    os.kill(child_pid(proxy), signal.SIGKILL)
    reply = proxy.post("/api/any", {})
    if reply.status_code != 200:  # a restart takes some tenths of a second; mostly it is not over yet
        assert problem(reply)[0] == 503
        assert int(reply.headers["retry-after"]) >= 1
        assert "POST /api/any" not in delivered(proxy)


def test_stopped_daemon_is_told_quickly_while_health_answers_and_all_is_well_when_it_continues(
    proxy: RunningProxy,
) -> None:
    pid = child_pid(proxy)
    os.kill(pid, signal.SIGSTOP)
    try:
        proxy.until_legacy("wedged")
        asked_at = time.monotonic()
        assert proxy.get("/health").status_code == 200
        assert problem(proxy.get("/api/any")) == (503, "legacy_wedged")
        assert problem(proxy.post("/api/any", {})) == (503, "legacy_wedged")
        assert time.monotonic() - asked_at < 4
        assert proxy.get("/health/ready").status_code == 503
    finally:
        os.kill(pid, signal.SIGCONT)
    proxy.until_legacy("ready")
    assert proxy.get("/api/any").status_code == 200
    assert child_pid(proxy) == pid


def test_request_under_way_when_the_daemon_hangs_gets_504_and_is_not_repeated(proxy: RunningProxy) -> None:
    asking = ask_slow(proxy, "POST")
    pid = child_pid(proxy)
    os.kill(pid, signal.SIGSTOP)
    try:
        assert problem(asking.reply()) == (504, "legacy_wedged")
    finally:
        os.kill(pid, signal.SIGCONT)
    proxy.until_legacy("ready")
    assert delivered(proxy).count("POST /api/slow") == 1


def test_killed_proxy_leaves_no_daemon_and_the_next_one_starts(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, daemon=NOTING) as first:
        first.until_legacy("ready")
        child = child_pid(first)
        os.kill(first.pid, signal.SIGKILL)
        killed_at = time.monotonic()
        while Path(f"/proc/{child}").exists() and time.monotonic() < killed_at + 5:
            time.sleep(0.01)
        assert time.monotonic() - killed_at < 2
        with RunningProxy.again(first) as second:
            second.until_legacy("ready")
            assert second.get("/api/any").status_code == 200


# Its update state is known to its memory only.
UPDATED = """
openDatabase();
listen(() => Response.json({ ...health, updateAvailable: true, pendingRestart: true }));
"""


def test_update_state_that_only_the_daemon_knows_is_kept_while_it_is_silent(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, daemon=UPDATED) as proxy:
        proxy.until_legacy("ready")
        proxy.wait_for(lambda: proxy.get("/health").json()["updateAvailable"])
        pid = child_pid(proxy)
        os.kill(pid, signal.SIGSTOP)
        try:
            proxy.until_legacy("wedged")
            health = proxy.get("/health").json()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert (health["updateAvailable"], health["pendingRestart"]) == (True, True)
