"""Starting and stopping: who gets the port and the home, what a refusal says, how fast it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from proxy.legacy.find import STAND_IN_PATH, find_bun
from proxy.legacy.ports import free_port, is_free
from tests.proxy.legacy.running import environment_for
from tests.proxy.running_proxy import DEADLINE_S, RunningProxy

SIGNET_CLI_KILLS_AFTER_S = 5.0
TEAM = "auth:\n  mode: team\n"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[RunningProxy]:
    with RunningProxy(tmp_path) as running:
        running.until_legacy("ready")
        yield running


def refused_start(environment: dict[str, str], *words: str) -> str:
    """What a start that must fail prints. Its exit code is not 0, and no traceback is shown."""
    done = subprocess.run(
        (sys.executable, "-m", "proxy", "serve", *words), env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_both_loopback_addresses_answer(proxy: RunningProxy) -> None:
    port = proxy.environment["SIGNET_PORT"]
    for host in ("127.0.0.1", "[::1]", "localhost"):
        assert httpx.get(f"http://{host}:{port}/health", trust_env=False).json()["pid"] == proxy.pid


def test_sigterm_ends_everything_with_code_0_before_signets_cli_would_kill(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)) as proxy:
        proxy.until_legacy("ready")
        with httpx.stream("GET", proxy.url + "/api/logs/stream", trust_env=False) as stream:
            assert b"connected" in next(stream.iter_raw())
            asked_at = time.monotonic()
            os.kill(proxy.pid, signal.SIGTERM)
            code = proxy.wait(SIGNET_CLI_KILLS_AFTER_S)
    assert code == 0, proxy.output
    assert time.monotonic() - asked_at < SIGNET_CLI_KILLS_AFTER_S
    assert not (proxy.home_path / ".daemon" / "pid").exists()
    assert is_free(int(proxy.environment["SIGNET_LEGACY_PORT"]))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_ignored_as_by_a_shell_for_its_background_jobs_is_not_inherited_by_what_we_start(
    tmp_path: Path,
) -> None:
    ignored = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    try:
        with RunningProxy(tmp_path, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)) as proxy:
            proxy.until_legacy("ready")
            for number in ignored:
                os.kill(proxy.pid, number)
            answered = proxy.get("/health").status_code
            daemon = proxy.get("/_proxy/status").json()["legacy"]["pid"]
            status = Path(f"/proc/{daemon}/status").read_text()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    assert answered == 200  # they are still ignored
    assert [number.name for number in ignored if mask >> (number - 1) & 1] == []


def test_pid_file_names_the_proxy_so_that_signet_stop_stops_it(proxy: RunningProxy) -> None:
    assert (proxy.home_path / ".daemon" / "pid").read_text() == str(proxy.pid)


def test_second_proxy_of_one_home_is_refused_and_names_the_first(proxy: RunningProxy) -> None:
    said = refused_start(proxy.environment | {"SIGNET_PORT": str(free_port())})
    assert str(proxy.pid) in said
    assert proxy.get("/health").json()["proxy"]["legacy"] == "ready"


def test_of_two_proxies_started_at_once_exactly_one_runs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = environment_for(home, None, SIGNET_PORT=str(free_port()), SIGNET_LEGACY_URL="http://127.0.0.1:1")
    both = [
        subprocess.Popen((sys.executable, "-m", "proxy", "serve"), env=environment, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    end_s = time.monotonic() + DEADLINE_S
    while all(one.poll() is None for one in both) and time.monotonic() < end_s:
        time.sleep(0.02)
    running = [one for one in both if one.poll() is None]
    for one in running:
        one.terminate()
    assert len(running) == 1
    assert running[0].wait(10) == 0


def test_port_held_by_a_stranger_is_named_with_its_pid_and_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        threading.Thread(target=hang_up_on_everybody, args=(stranger,), daemon=True).start()
        port = stranger.getsockname()[1]
        said = refused_start(environment_for(tmp_path / "home", None, SIGNET_PORT=str(port)))
        assert f"port {port} is held by process {os.getpid()}" in said
        assert "SIGNET_PORT" in said
        refused = refused_start(environment_for(tmp_path / "home", None, SIGNET_PORT=str(port)), "--take-over")
        assert "is not taken over" in refused


def test_take_over_stops_a_bare_daemon_of_the_same_home_and_fronts_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = environment_for(home, STAND_IN_PATH, SIGNET_PORT=str(free_port()))
    bare = subprocess.Popen(
        (str(find_bun(None, os.environ)), str(STAND_IN_PATH)),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{environment['SIGNET_PORT']}"
    try:
        until_healthy(url, bare.pid)
        assert "signet-proxy serve --take-over" in refused_start(environment)
        successor = subprocess.Popen(
            (sys.executable, "-m", "proxy", "serve", "--take-over"), env=environment, stderr=subprocess.DEVNULL
        )
        try:
            until_healthy(url, successor.pid)
            assert bare.wait(5) == 0
        finally:
            successor.terminate()
            successor.wait(10)
        (lines,) = (path.read_text().splitlines() for path in home.rglob("proxy-2*.log"))
        taken = [entry["pid"] for entry in map(json.loads, lines) if entry["event"] == "taken_over"]
        assert taken == [bare.pid]
    finally:
        bare.kill()
        bare.wait()


def hang_up_on_everybody(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()


def until_healthy(url: str, pid: int) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < end_s:
        try:
            if httpx.get(url + "/health", trust_env=False).json()["pid"] == pid:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"{pid} never answered on {url}")


def test_listening_beyond_loopback_without_tokens_is_refused_with_the_fix(tmp_path: Path) -> None:
    environment = environment_for(tmp_path / "home", None, SIGNET_PORT=str(free_port()), SIGNET_HOST="0.0.0.0")
    said = refused_start(environment)
    assert "auth.mode" in said
    assert "SIGNET_ALLOW_INSECURE_BIND=1" in said


def test_every_bad_setting_is_named_at_once(tmp_path: Path) -> None:
    said = refused_start(environment_for(tmp_path / "home", None, SIGNET_PORT="abc", SIGNET_LEGACY_URL="nonsense"))
    assert "SIGNET_PORT='abc': expected an integer from 1 to 65535" in said
    assert "SIGNET_LEGACY_URL='nonsense'" in said


def test_first_start_in_team_mode_gets_ready_and_asks_others_for_tokens(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, agent_yaml=TEAM, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)) as proxy:
        proxy.until_legacy("ready")
        assert proxy.get("/health").status_code == 200
        assert proxy.get("/api/memories").status_code == 401
        token = proxy.cli("token", "create", "--role", "readonly").output.strip()
        assert proxy.get("/api/memories", authorization=f"Bearer {token}").status_code == 200
        assert proxy.post("/api/memory/remember", {"content": "x"}, authorization=f"Bearer {token}").status_code == 403


def test_status_of_the_daemon_shows_the_proxys_pid_port_and_address(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, SIGNET_LEGACY_DAEMON=str(STAND_IN_PATH)) as proxy:
        proxy.until_legacy("ready")
        reply = proxy.get("/api/status", **{"x-signet-route": "legacy"})
        status = reply.json()
        assert (status["pid"], status["port"]) == (proxy.pid, int(proxy.environment["SIGNET_PORT"]))
        assert (status["host"], status["bindHost"]) == ("127.0.0.1", "127.0.0.1")
        assert int(reply.headers["content-length"]) == len(reply.content)
        assert reply.headers["x-signet-served-by"] == "legacy"
