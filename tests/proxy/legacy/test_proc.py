"""What only Linux tells, through /proc; elsewhere this file is not collected (conftest.py)."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from proxy.legacy import ports, processes
from proxy.legacy.locks import holds_shared_lock
from tests.proxy.legacy.running import until


def test_a_port_that_is_the_local_end_of_a_connection_is_said_to_be_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        port = client.getsockname()[1]
        assert not ports.is_free(port)
        assert str(ports.port_holder(port)) == f"port {port} is in use by a connection, nobody listens on it"


async def test_processes_are_found_by_what_they_were_started_with(sleeper: subprocess.Popen[bytes]) -> None:
    await until(lambda: sleeper.pid in processes.processes_with("MARK", "yes"))
    assert sleeper.pid not in processes.processes_with("MARK", "no")


def test_own_cpu_time_is_the_kernels() -> None:
    sample = processes.look(os.getpid())
    assert sample is not None
    assert 0 < sample.cpu_s <= sum(os.times()[:2]) + 0.02


def test_holders_of_a_file_are_other_processes_that_have_it_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with path.open() as file, subprocess.Popen(["sleep", "60"], stdin=file) as process:
        assert processes.holders_of(path) == [process.pid]
        process.kill()


def test_a_file_that_nobody_locked_shows_no_lock(tmp_path: Path) -> None:
    (tmp_path / "memories.db").touch()
    assert holds_shared_lock(os.getpid(), tmp_path / "memories.db") is False
    assert holds_shared_lock(os.getpid(), tmp_path / "missing.db") is False
