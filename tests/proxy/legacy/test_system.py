"""What is asked of the operating system: ports, processes, locks, and the rotated output file."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from proxy.legacy import ports, processes
from proxy.legacy.output import OutputDrain, RotatedFile
from tests.proxy.legacy.running import until


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_holder_of_a_port_is_named(family: socket.AddressFamily) -> None:
    host = "127.0.0.1" if family is socket.AF_INET else "::1"
    with socket.create_server((host, 0), family=family) as server:
        holder = ports.port_holder(server.getsockname()[1])
    assert holder.pid == os.getpid()
    assert "python" in str(holder) or "pytest" in str(holder)


def test_a_port_is_free_again_when_its_server_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
    assert ports.is_free(port)


def test_a_server_on_all_addresses_holds_the_loopback_port_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


async def test_a_process_is_seen_running_stopped_and_gone(sleeper: subprocess.Popen[bytes]) -> None:
    await until(lambda: (seen := processes.look(sleeper.pid)) and seen.state == "S" and seen.rss_bytes > 1_000_000)
    sleeper.send_signal(19)
    await until(lambda: (seen := processes.look(sleeper.pid)) and seen.is_stopped)
    sleeper.kill()
    sleeper.wait()
    assert processes.look(sleeper.pid) is None
    assert processes.command_line(sleeper.pid) == ""


def test_the_output_file_is_shifted_before_it_grows_over_its_limit(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "out.log", limit_bytes=10)
    for text in (b"aaaaaa", b"bbbbbb", b"cccccc", b"dddddd"):
        file.write(text)
    file.close()
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {"out.log": b"dddddd", "out.log.1": b"cccccc", "out.log.2": b"bbbbbb"}
    assert (tmp_path / "out.log").stat().st_mode & 0o777 == 0o600


def test_what_the_disk_does_not_take_is_counted_and_later_output_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    path.symlink_to("/dev/full")
    file = RotatedFile(path)
    file.write(b"lost")
    assert file.lost_bytes == 4
    path.unlink()
    file.write(b"kept")
    file.close()
    assert path.read_bytes() == b"kept"


def test_the_last_lines_are_remembered_also_without_a_line_end(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    drain = OutputDrain(read_end, tmp_path / "out.log")
    os.write(write_end, b"".join(b"line %d\n" % n for n in range(50)) + b"\x1b[31mlast words")
    os.close(write_end)
    drain.finish(5.0)
    assert drain.last_lines()[-2:] == ("line 49", "last words")
    assert len(drain.last_lines()) == 21
