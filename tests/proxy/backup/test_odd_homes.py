from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from proxy.backup.make import default_folder, make_backup
from proxy.backup.manifest import NAME, BackupError, Manifest
from proxy.backup.restore import restore
from proxy.settings import Settings
from tests.proxy.backup.test_backup import TABLES, remember, remembered
from tests.proxy.running_proxy import RunningProxy

DIES_AT_STEP = """
import os, signal, sys
from pathlib import Path
from proxy.backup.restore import restore
from proxy.settings import Settings

left = int(sys.argv[3])

def count(event, arguments):
    global left
    if event in {"os.rename", "os.link", "os.mkdir"}:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
environment = {"SIGNET_PATH": sys.argv[1], "SIGNET_PORT": "1", "SIGNET_LEGACY_PORT": "2"}
restore(Settings.from_env(environment), Path(sys.argv[2]))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "memory").mkdir(parents=True)
    (home / ".daemon").mkdir()
    with closing(sqlite3.connect(home / "memory" / "memories.db")) as connection:
        connection.executescript(TABLES)
    remember(home, "tea")
    (home / "agent.yaml").write_text("name: Ada\n")
    (home / "skills").mkdir()
    (home / "skills" / "tidy.md").write_text("tidy up")
    return home


def backed_up(home: Path, folder: Path) -> Path:
    return asyncio.run(make_backup(home, folder))


def put_back(home: Path, backup: Path) -> Path:
    environment = {"SIGNET_PATH": str(home), "SIGNET_PORT": "1", "SIGNET_LEGACY_PORT": "2"}
    return restore(Settings.from_env(environment), backup).replaced_path


def test_names_that_are_no_utf8_come_back(home: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"na\xefve.md")
    (home / name).write_text("latin")
    (home / "link").symlink_to(name)
    backup = backed_up(home, tmp_path / "kept")
    (home / name).unlink()
    (home / "link").unlink()

    put_back(home, backup)

    assert (home / name).read_text() == "latin"
    assert (home / "link").read_text() == "latin"


def test_pipes_and_sockets_are_left_out(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(home / "pipe")
    monkeypatch.chdir(home)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        backup = backed_up(home, tmp_path / "kept")

    assert not (backup / "pipe").exists()
    assert not (backup / "socket").exists()
    Manifest.read(backup).check(backup)


def test_files_of_a_person_that_are_named_like_ours_are_kept(home: Path, tmp_path: Path) -> None:
    (home / "novel.draft").write_text("chapter one")
    (home / ".USER.md.0123abcd.draft").write_text("half a text, of a process that was killed")
    (home / "memory" / "old").mkdir()
    for name in ("memories.db", "old/memories.db", "old/memories.db.md"):
        (home / "memory" / name).touch()
    backup = backed_up(home, tmp_path / "kept")

    kept = {file.path for file in Manifest.read(backup).files}
    assert kept >= {"novel.draft", "memory/old/memories.db", "memory/old/memories.db.md"}
    assert ".USER.md.0123abcd.draft" not in kept


def test_a_file_of_the_manifests_name_does_not_spoil_the_backup(home: Path, tmp_path: Path) -> None:
    (home / NAME).write_text("of a backup copied here by hand")

    backup = backed_up(home, tmp_path / "kept")

    Manifest.read(backup).check(backup)


def test_a_memory_folder_that_is_a_link_is_backed_up_and_comes_back_as_a_folder(home: Path, tmp_path: Path) -> None:
    (home / "memory" / "2026-11-21.md").write_text("notes")
    elsewhere = tmp_path / "disk" / "memory"
    elsewhere.parent.mkdir()
    (home / "memory").rename(elsewhere)
    (home / "memory").symlink_to(elsewhere)
    backup = backed_up(home, tmp_path / "kept")
    remember(home, "later")

    replaced = put_back(home, backup)

    assert remembered(home / "memory" / "memories.db") == ["tea"]
    assert (home / "memory" / "2026-11-21.md").read_text() == "notes"
    assert not (home / "memory").is_symlink()
    assert (replaced / "memory").readlink() == elsewhere
    assert remembered(elsewhere / "memories.db") == ["later", "tea"]


def test_a_link_or_a_file_in_the_place_of_a_folder_is_set_aside(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")
    dotfiles = tmp_path / "dotfiles"
    (home / "skills").rename(dotfiles)
    (dotfiles / "tidy.md").write_text("of the dotfiles")
    (home / "skills").symlink_to(dotfiles)

    put_back(home, backup)
    assert (home / "skills" / "tidy.md").read_text() == "tidy up"
    assert (dotfiles / "tidy.md").read_text() == "of the dotfiles"

    shutil.rmtree(home / "skills")
    (home / "skills").write_text("a file")
    assert (put_back(home, backup) / "skills").read_text() == "a file"
    assert (home / "skills" / "tidy.md").read_text() == "tidy up"


def test_a_folder_in_the_place_of_a_file_is_set_aside(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")
    (home / "agent.yaml").unlink()
    (home / "agent.yaml").mkdir()
    (home / "agent.yaml" / "inside").write_text("kept")

    replaced = put_back(home, backup)

    assert (home / "agent.yaml").read_text() == "name: Ada\n"
    assert (replaced / "agent.yaml" / "inside").read_text() == "kept"


def test_a_restore_that_fails_half_way_leaves_the_home_as_it_was(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")
    remember(home, "later")
    (home / "agent.yaml").write_text("name: Eve\n")
    dotfiles = tmp_path / "dotfiles"
    (home / "skills").rename(dotfiles)
    (home / "skills").symlink_to(dotfiles)
    subprocess.run([sys.executable, "-c", DIES_AT_STEP.replace(
        "os.kill(os.getpid(), signal.SIGKILL)", "raise OSError(28, 'No space left on device')"
    ), home, backup, "14"], check=False, capture_output=True)  # fmt: skip

    assert (home / "agent.yaml").read_text() == "name: Eve\n"
    assert (home / "skills").readlink() == dotfiles
    assert remembered(home / "memory" / "memories.db") == ["later", "tea"]


@pytest.mark.parametrize("steps", [*range(1, 22)])
def test_a_restore_killed_at_any_step_leaves_a_database_and_a_second_one_mends_it(
    steps: int, home: Path, tmp_path: Path
) -> None:
    backup = backed_up(home, tmp_path / "kept")
    (home / "agent.yaml").write_text("name: Eve\n")
    with closing(sqlite3.connect(home / "memory" / "memories.db")) as connection:
        connection.execute("INSERT INTO memories VALUES ('later', 'later')")
        connection.commit()
        crashed = tmp_path / "crashed"
        shutil.copytree(home, crashed)  # the commit is in the WAL alone

    subprocess.run([sys.executable, "-c", DIES_AT_STEP, crashed, backup, str(steps)], check=False, capture_output=True)

    assert remembered(crashed / "memory" / "memories.db") in (["later", "tea"], ["tea"])
    put_back(crashed, backup)
    assert remembered(crashed / "memory" / "memories.db") == ["tea"]
    assert (crashed / "agent.yaml").read_text() == "name: Ada\n"
    assert not list((crashed / ".daemon").glob("restoring-*"))
    kept = [path for path in (crashed / ".daemon" / "replaced").rglob("memories.db")]
    assert ["later", "tea"] in [remembered(path) for path in kept]


def test_what_a_killed_backup_left_is_removed_by_the_next(home: Path) -> None:
    left = default_folder(home) / ".signet-2026-11-21T00-00-00Z.abcd"
    left.mkdir(parents=True)
    (left / "half").write_text("x")

    made = backed_up(home, default_folder(home))

    assert sorted(os.listdir(default_folder(home))) == [".gitignore", made.name]


def test_permissions_come_back_also_from_where_there_are_none(home: Path, tmp_path: Path) -> None:
    (home / ".secrets").mkdir()
    (home / ".secrets" / "secrets.enc").write_text("sealed")
    (home / ".secrets" / "secrets.enc").chmod(0o600)
    backup = backed_up(home, tmp_path / "kept")
    (backup / ".secrets" / "secrets.enc").chmod(0o644)  # a cloud folder, a stick
    shutil.rmtree(home / ".secrets")

    put_back(home, backup)

    assert stat.S_IMODE((home / ".secrets" / "secrets.enc").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / ".secrets").stat().st_mode) == 0o700


def test_a_backup_that_reaches_outside_through_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "tidy.md").write_text("tidy up")
    backup = backed_up(home, tmp_path / "kept")
    shutil.rmtree(backup / "skills")
    (backup / "skills").symlink_to(outside)

    with pytest.raises(BackupError, match="lies behind a symbolic link"):
        put_back(home, backup)
    assert (outside / "tidy.md").exists()


@pytest.mark.parametrize("written", ['{"files": [{"path": 5}]}', "[]", '{"files": 5}', "[" * 100_000])
def test_a_manifest_of_another_shape_is_said_to_be_unreadable(written: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(written)

    with pytest.raises(BackupError, match="cannot be read"):
        Manifest.read(tmp_path)


def test_a_proxy_of_another_home_makes_no_backup(tmp_path: Path) -> None:
    with RunningProxy(tmp_path) as proxy:
        other = proxy.post("/_proxy/backup", {"folder": None, "home": str(tmp_path)})
        surrogate = httpx.post(f"{proxy.url}/_proxy/backup", content='{"folder": "/\\ud800"}', trust_env=False)

    assert other.status_code == 409
    assert other.json()["error"].startswith(f"this proxy serves {tmp_path / 'home'}, not {tmp_path};")
    assert surrogate.status_code == 400
