"""What the doctor finds, in homes and on ports that are really as described."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from proxy.legacy.ports import free_port
from tests.proxy.legacy.daemons import NEVER_LISTENS, OBEDIENT, write_daemon
from tests.proxy.legacy.running import environment_for
from tests.proxy.running_proxy import RunningProxy, command_line

# In another process: this one must never open and close a file that SQLite may hold here.
MAKE_DATABASE = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY)")
database.execute("INSERT INTO schema_migrations VALUES (?)", (int(sys.argv[2]),))
database.commit()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """A home with nothing wrong, for which no proxy runs."""
    (tmp_path / "home").mkdir()
    script = write_daemon(tmp_path, OBEDIENT)
    return environment_for(tmp_path / "home", script, SIGNET_PORT=str(free_port()))


def home_of(environment: dict[str, str]) -> Path:
    return Path(environment["SIGNET_PATH"])


class Stranger(BaseHTTPRequestHandler):
    """Answers 501 to everything."""

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def web_server(port: int) -> Iterator[None]:
    """A server of this process that has nothing to do with Signet."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Stranger)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def findings(environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The worst finding about each thing."""
    document = json.loads(command_line(environment, "doctor", "--json").output)
    order = ["ok", "degraded", "unusable"]
    worst: dict[str, dict[str, Any]] = {}
    for finding in document["findings"]:
        before = worst.setdefault(finding["about"], finding)
        worst[finding["about"]] = max(before, finding, key=lambda f: order.index(f["level"]))
    return worst


def test_with_a_ready_proxy_all_is_well_and_the_exit_code_0(tmp_path: Path) -> None:
    with RunningProxy(tmp_path) as proxy:
        proxy.until_legacy("ready")
        result = proxy.cli("doctor")

    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "in all: ok"
    assert "schema: version 30, legacy's lock is seen" in result.output
    assert "answers a nearest-neighbour query" in result.output


def test_a_degraded_proxy_is_told_with_its_own_words_and_exit_code_1(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, daemon=NEVER_LISTENS) as proxy:
        result = proxy.cli("doctor")

    assert result.exit_code == 1
    assert "degraded  legacy: forwarded requests wait up to 5 s" in result.output
    assert "fix: wait for its boot; if it repeats, see `signet-proxy status`" in result.output


def test_a_frozen_group_is_told_with_the_command_that_lifts_it(tmp_path: Path) -> None:
    with RunningProxy(tmp_path) as proxy:
        proxy.until_legacy("ready")
        assert proxy.cli("cutover", "freeze", "recall").exit_code == 0
        result = proxy.cli("doctor")

    assert result.exit_code == 1
    assert "fix: find out why, then `signet-proxy cutover lift recall`" in result.output


def test_a_proxy_of_another_home_is_recognised(tmp_path: Path) -> None:
    with RunningProxy(tmp_path) as proxy:
        found = findings(proxy.environment | {"SIGNET_PATH": str(tmp_path)})

    assert found["proxy"]["level"] == "degraded"
    assert str(proxy.home_path) in found["proxy"]["what"]


def test_without_a_proxy_the_machine_is_examined_and_the_fix_is_to_start_one(alone: dict[str, str]) -> None:
    result = command_line(alone, "doctor")

    assert result.exit_code == 1
    assert "degraded  proxy: no proxy answers on port" in result.output
    assert [line for line in result.output.splitlines() if line.startswith("unusable")] == []


def test_a_stranger_on_the_port_is_named_by_pid_and_command(alone: dict[str, str]) -> None:
    with web_server(int(alone["SIGNET_PORT"])):
        result = command_line(alone, "doctor")

    assert result.exit_code == 2
    assert f"port {alone['SIGNET_PORT']} is held by process {os.getpid()} (" in result.output


def test_a_stranger_on_legacys_port_is_named(alone: dict[str, str]) -> None:
    with web_server(int(alone["SIGNET_LEGACY_PORT"])):
        found = findings(alone)

    assert found["legacy port"]["level"] == "unusable"
    assert f"process {os.getpid()}" in found["legacy port"]["what"]


def test_a_machine_without_bun_is_unusable_and_told_what_to_install(alone: dict[str, str], tmp_path: Path) -> None:
    fake = tmp_path / "bun"
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)

    found = findings(alone | {"SIGNET_BUN": str(fake)})

    assert found["bun"]["level"] == "unusable"
    assert "exit status 3" in found["bun"]["what"]


def test_a_mode_with_a_comment_behind_it_is_degraded_and_no_mode_is_called_fine(alone: dict[str, str]) -> None:
    home = home_of(alone)
    home.mkdir(exist_ok=True)
    (home / "agent.yaml").write_text("auth:\n  mode: hybrid # for me\n")

    output = command_line(alone, "doctor").output

    assert "comments need a line of their own" in output
    assert "ok        auth:" not in output


def test_a_bind_that_serve_refuses_is_unusable(alone: dict[str, str]) -> None:
    found = findings(alone | {"SIGNET_BIND": "0.0.0.0"})

    assert found["auth"]["level"] == "unusable"
    assert "set auth.mode to team or hybrid" in found["auth"]["fix"]


def test_an_insecure_bind_that_was_allowed_is_still_told(alone: dict[str, str]) -> None:
    found = findings(alone | {"SIGNET_BIND": "0.0.0.0", "SIGNET_ALLOW_INSECURE_BIND": "1"})

    assert found["auth"]["level"] == "degraded"


def test_a_pid_file_that_names_nobody_is_found(alone: dict[str, str]) -> None:
    ended = subprocess.Popen((sys.executable, "-c", ""))
    ended.wait()
    (home_of(alone) / ".daemon").mkdir()
    (home_of(alone) / ".daemon" / "pid").write_text(str(ended.pid))

    found = findings(alone)

    assert found["pid file"]["level"] == "degraded"
    assert str(ended.pid) in found["pid file"]["what"]


def test_a_held_home_without_an_answering_proxy_is_found(tmp_path: Path) -> None:
    with RunningProxy(tmp_path) as proxy:
        proxy.until_legacy("ready")
        found = findings(proxy.environment | {"SIGNET_PORT": str(free_port())})

    assert found["lock"]["level"] == "degraded"
    assert f"process {proxy.pid}" in found["lock"]["what"]
    assert "was not opened" in found["database"]["what"]


def test_a_lock_file_of_a_proxy_that_ended_is_no_finding(tmp_path: Path) -> None:
    with RunningProxy(tmp_path) as proxy:
        pass

    assert "lock" not in findings(proxy.environment)


def test_settings_in_buns_working_folder_are_found(alone: dict[str, str]) -> None:
    folder = home_of(alone) / ".daemon" / "legacy-cwd"
    folder.mkdir(parents=True)
    (folder / ".env").write_text("SIGNET_PORT=1")

    assert str(folder / ".env") in findings(alone)["environment"]["what"]


def test_a_unit_of_the_old_daemon_is_found(alone: dict[str, str]) -> None:
    unit = Path(alone["HOME"]) / ".config" / "systemd" / "user" / "signet.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/bin/bun /opt/daemon.js\nRestart=always\n")

    found = findings(alone)

    assert found["service"]["level"] == "degraded"
    assert "--replace" in found["service"]["fix"]


@pytest.fixture
def database(alone: dict[str, str]) -> Path:
    path = home_of(alone) / "memory" / "memories.db"
    path.parent.mkdir()
    (home_of(alone) / ".daemon").mkdir()
    return path


def holder(path: Path, version: int) -> subprocess.Popen[str]:
    """Another process that has made the database and keeps it open until its stdin ends."""
    command = (sys.executable, "-c", MAKE_DATABASE, str(path), str(version))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


@pytest.mark.parametrize(
    ("version", "level", "what"),
    [(30, "ok", "schema 30"), (12, "ok", "to be migrated"), (31, "degraded", "newer than 30")],
)
def test_a_database_that_nobody_holds_is_read(
    alone: dict[str, str], database: Path, version: int, level: str, what: str
) -> None:
    holder(database, version).communicate()

    found = findings(alone)["database"]

    assert found["level"] == level
    assert what in found["what"]


def test_a_database_that_somebody_holds_is_not_opened(alone: dict[str, str], database: Path) -> None:
    process = holder(database, 30)
    found = findings(alone)["database"]
    process.communicate()

    assert f"was not opened: process {process.pid} has it open" in found["what"]


def test_a_database_behind_a_daemon_on_our_port_is_not_opened(alone: dict[str, str], database: Path) -> None:
    holder(database, 30).communicate()
    with web_server(int(alone["SIGNET_LEGACY_PORT"])):
        found = findings(alone)["database"]

    assert f"was not opened: port {alone['SIGNET_LEGACY_PORT']} is held by" in found["what"]


def test_a_file_that_is_no_database_is_unusable(alone: dict[str, str], database: Path) -> None:
    database.write_bytes(b"not a database, whatever its name says" * 200)

    found = findings(alone)["database"]

    assert found["level"] == "unusable"
    assert ".bak-v" in found["fix"]
