"""One home, one proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.home import Holder, HomeBusy, HomeError, HomeLock, PidFile, create_home

HOLD_UNTIL_KILLED = """
import sys; from pathlib import Path; from proxy.home import HomeLock
lock = HomeLock(Path(sys.argv[1])); lock.acquire(); print("held", flush=True); input()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    create_home(path, path / ".daemon" / "logs")
    return path


def test_a_new_home_may_be_read_by_its_owner_only(home: Path) -> None:
    modes = [path.stat().st_mode & 0o777 for path in (home, home / ".daemon", home / ".daemon" / "logs")]
    assert modes == [0o700, 0o700, 0o700]


def test_an_existing_home_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    create_home(tmp_path, tmp_path / ".daemon" / "logs")
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_home_that_cannot_be_made_is_refused_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match="SIGNET_PATH"):
        create_home(tmp_path / "file" / "home", tmp_path / "logs")


def test_the_lock_names_its_holder(home: Path) -> None:
    with HomeLock(home) as lock:
        written = json.loads(lock.path.read_text())
        assert written["pid"] == os.getpid()
        assert set(written) == {"pid", "started_at", "boot_id", "nonce"}
        assert lock.path.stat().st_mode & 0o777 == 0o600


def test_a_second_proxy_is_refused_naming_the_first_and_how_to_stop_it(home: Path) -> None:
    with HomeLock(home), pytest.raises(HomeBusy, match=f"process {os.getpid()}, runs for .* `kill {os.getpid()}`"):
        HomeLock(home).acquire()


def test_two_homes_do_not_disturb_each_other(home: Path, tmp_path: Path) -> None:
    create_home(tmp_path / "other", tmp_path / "other" / ".daemon" / "logs")
    with HomeLock(home), HomeLock(tmp_path / "other"):
        pass


def test_the_lock_of_a_killed_process_is_free_whatever_pid_the_file_names(home: Path) -> None:
    command = [sys.executable, "-c", HOLD_UNTIL_KILLED, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(HomeBusy, match=f"process {process.pid},"):
            HomeLock(home).acquire()
        process.kill()
        process.wait()
    with HomeLock(home) as lock:
        assert lock.holder is not None
        assert lock.holder.pid == os.getpid()


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"pid": 1}'])
def test_a_damaged_lock_file_does_not_matter(home: Path, content: str) -> None:
    path = home / ".daemon" / "proxy.lock"
    path.write_text(content)
    assert Holder.read(path) is None
    HomeLock(home).acquire()
    with pytest.raises(HomeBusy):
        HomeLock(home).acquire()


def test_a_released_lock_can_be_taken_again(home: Path) -> None:
    lock = HomeLock(home)
    lock.acquire()
    lock.release()
    lock.release()
    HomeLock(home).acquire()


def test_the_pid_file_is_only_the_number(home: Path) -> None:
    pid_file = PidFile(home)
    assert pid_file.write()
    assert pid_file.path.read_text() == str(os.getpid())
    pid_file.remove()
    assert pid_file.read() is None


def test_a_pid_file_of_somebody_else_is_not_removed(home: Path) -> None:
    pid_file = PidFile(home)
    pid_file.path.write_text("1")
    pid_file.remove()
    assert pid_file.read() == 1


def test_a_pid_file_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    assert PidFile(tmp_path / "no home").write() is False
