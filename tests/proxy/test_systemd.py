"""The service manager's protocol, with a real datagram socket in the manager's place."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.systemd import Notifier, inherited_sockets, watchdog_interval_s


@pytest.fixture(params=["path", "abstract"] if sys.platform == "linux" else ["path"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket like the manager's and the NOTIFY_SOCKET that names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@signet-proxy-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name[1:] if name.startswith("@") else name)
        server.settimeout(5.0)
        yield server, name


def test_states_reach_the_manager_in_order(manager: tuple[socket.socket, str]) -> None:
    server, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready("fronts Signet 0.58.1")
    notifier.alive()
    notifier.status("legacy is busy")
    notifier.stopping()
    received = [server.recv(1000).decode() for _ in range(4)]
    assert received == ["READY=1\nSTATUS=fronts Signet 0.58.1", "WATCHDOG=1", "STATUS=legacy is busy", "STOPPING=1"]


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).ready("nobody listens")
    assert not Notifier({}).is_wanted
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_interval_is_this_process_own(environment: dict[str, str], expected: float | None) -> None:
    assert watchdog_interval_s(environment) == expected


def test_an_inherited_socket_is_accepted_on() -> None:
    source = """
import os
from proxy.systemd import inherited_sockets
(listener,) = inherited_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
with listener, listener.accept()[0] as connection:
    connection.sendall(b"from the manager's socket")
"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The child finds the socket as descriptor 3, as systemd would hand it over.
        launcher = f'exec 3<&{listener.fileno()}; exec "{sys.executable}" -c "$0"'
        with (
            subprocess.Popen(["bash", "-c", launcher, source], pass_fds=[listener.fileno()]),
            socket.create_connection(listener.getsockname()) as client,
        ):
            assert client.recv(100) == b"from the manager's socket"


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    assert inherited_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    assert inherited_sockets({}) == []
