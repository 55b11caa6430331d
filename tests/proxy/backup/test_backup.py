from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from proxy.backup.make import default_folder, make_backup
from proxy.backup.manifest import DATABASE, NAME, BackupError, Manifest
from proxy.backup.restore import restore
from proxy.home import HomeBusy, HomeLock
from proxy.legacy.ports import free_port
from proxy.settings import Settings
from tests.proxy.running_proxy import RunningProxy, command_line

TABLES = """
PRAGMA journal_mode=WAL;
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY);
INSERT INTO schema_migrations VALUES (30);
CREATE TABLE memories (id TEXT PRIMARY KEY, content TEXT);
"""


WRITES_PAIRS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
for place in range(100_000):
    pair = [(f"{place:06}-{half}", "x" * 500) for half in ("a", "b")]
    connection.executemany("INSERT INTO memories VALUES (?, ?)", pair)
    connection.commit()
    if not place:
        print(flush=True)
"""


def remember(home: Path, *contents: str) -> None:
    with closing(sqlite3.connect(home / "memory" / "memories.db")) as connection:
        connection.executemany("INSERT INTO memories(id, content) VALUES (?1, ?1)", [(text,) for text in contents])
        connection.commit()


def remembered(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT content FROM memories ORDER BY content")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "memory").mkdir(parents=True)
    with closing(sqlite3.connect(home / "memory" / "memories.db")) as connection:
        connection.executescript(TABLES)
    remember(home, "tea", "coffee")
    (home / "agent.yaml").write_text("name: Ada\n")
    (home / "skills" / "tidy").mkdir(parents=True)
    (home / "skills" / "tidy" / "SKILL.md").write_text("tidy up")
    (home / "skills" / "linked").symlink_to("tidy")
    (home / ".secrets").mkdir()
    (home / ".secrets" / "secrets.enc").write_text("sealed")
    (home / ".secrets" / "secrets.enc").chmod(0o600)
    (home / ".daemon" / "logs").mkdir(parents=True)
    (home / ".daemon" / "auth-secret").write_bytes(b"s" * 32)
    (home / ".daemon" / "logs" / "proxy.log").write_text("not kept")
    (home / ".git").mkdir()
    (home / ".git" / "config").write_text("not kept")
    return home


def settings_of(home: Path) -> Settings:
    return Settings.from_env({"SIGNET_PATH": str(home), "SIGNET_PORT": "1", "SIGNET_LEGACY_PORT": "2"})


def backed_up(home: Path, folder: Path) -> Path:
    return asyncio.run(make_backup(home, folder))


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def test_a_backup_holds_the_database_configuration_secrets_and_skills(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")

    manifest = Manifest.read(backup)
    assert files_of(backup) == {
        NAME, "memory/memories.db", "agent.yaml", "skills/tidy/SKILL.md", "skills/linked",
        ".secrets/secrets.enc", ".daemon/auth-secret",
    }  # fmt: skip
    assert (manifest.schema_version, manifest.memories, manifest.home) == (30, 2, str(home))
    assert remembered(backup / "memory" / "memories.db") == ["coffee", "tea"]
    manifest.check(backup)


def test_only_its_owner_may_look_into_a_backup(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")

    assert stat.S_IMODE(backup.stat().st_mode) == 0o700
    assert stat.S_IMODE((backup / ".secrets" / "secrets.enc").stat().st_mode) == 0o600


def test_the_usual_place_is_in_the_home_and_git_ignores_it(home: Path) -> None:
    backup = backed_up(home, default_folder(home))
    again = backed_up(home, default_folder(home))

    assert backup != again
    assert (default_folder(home) / ".gitignore").read_text() == "*\n"
    assert files_of(again) == files_of(backup)


def test_another_place_inside_of_the_home_is_refused(home: Path) -> None:
    with pytest.raises(BackupError, match="lies inside of the home"):
        backed_up(home, home / "skills")


def test_a_home_without_a_database_has_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing to back up"):
        backed_up(tmp_path, tmp_path / "kept")


def test_a_backup_while_somebody_writes_is_one_state(home: Path, tmp_path: Path) -> None:
    # Another process, as legacy is: locks of two SQLite libraries in one process do not see each other.
    with subprocess.Popen([sys.executable, "-c", WRITES_PAIRS, home / DATABASE], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()  # the first pair is in
        try:
            backups = [backed_up(home, tmp_path / "kept") for _ in range(3)]
            assert writer.poll() is None
        finally:
            writer.kill()

    for backup in backups:
        with closing(sqlite3.connect(backup / "memory" / "memories.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            odd = connection.execute("SELECT count(*) % 2 FROM memories WHERE id LIKE '______-_'").fetchone()
            assert odd == (0,), "half of a transaction"


def test_a_restored_home_is_as_it_was_and_what_it_replaced_is_kept(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")
    remember(home, "later")
    (home / "agent.yaml").write_text("name: Eve\n")
    (home / "skills" / "tidy" / "SKILL.md").unlink()
    (home / "new.md").write_text("made since")

    restored = restore(settings_of(home), backup)

    assert remembered(home / "memory" / "memories.db") == ["coffee", "tea"]
    assert (home / "agent.yaml").read_text() == "name: Ada\n"
    assert (home / "skills" / "linked" / "SKILL.md").read_text() == "tidy up"
    assert stat.S_IMODE((home / ".secrets" / "secrets.enc").stat().st_mode) == 0o600
    assert (home / "new.md").read_text() == "made since"
    assert (restored.replaced_path / "agent.yaml").read_text() == "name: Eve\n"
    assert remembered(restored.replaced_path / "memory" / "memories.db") == ["coffee", "later", "tea"]
    assert not list((home / ".daemon").glob("restoring-*"))


def test_a_wal_that_was_left_is_not_read_into_the_restored_database(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")
    with closing(sqlite3.connect(home / "memory" / "memories.db")) as connection:
        connection.execute("INSERT INTO memories VALUES ('stale', 'stale')")
        connection.commit()
        crashed = tmp_path / "crashed"
        shutil.copytree(home, crashed, symlinks=True)  # as after a kill: the commit is in the WAL alone
    assert (crashed / "memory" / "memories.db-wal").stat().st_size > 0

    restore(settings_of(crashed), backup)

    assert remembered(crashed / "memory" / "memories.db") == ["coffee", "tea"]


def test_a_backup_goes_into_an_empty_home(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")

    restore(settings_of(tmp_path / "fresh"), backup)

    assert remembered(tmp_path / "fresh" / "memory" / "memories.db") == ["coffee", "tea"]


@pytest.fixture(params=["agent.yaml", "memory/memories.db"])
def damaged(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Path:
    backup = backed_up(home, tmp_path / "kept")
    path = backup / request.param
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return backup


def test_a_damaged_backup_changes_nothing(home: Path, damaged: Path) -> None:
    remember(home, "later")

    with pytest.raises(BackupError, match="has changed"):
        restore(settings_of(home), damaged)

    assert remembered(home / "memory" / "memories.db") == ["coffee", "later", "tea"]
    assert not list((home / ".daemon").glob("restoring-*"))


def test_a_backup_that_lacks_a_file_or_reaches_outside_is_refused(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")
    (backup / "agent.yaml").unlink()
    with pytest.raises(BackupError, match=r"agent\.yaml: No such file"):
        restore(settings_of(home), backup)

    values = json.loads((backup / NAME).read_text())
    values["files"].append({"path": "../outside", "bytes": 0, "mode": 0, "sha256": "", "target": "x"})
    (backup / NAME).write_text(json.dumps(values))
    with pytest.raises(BackupError, match="lies outside"):
        restore(settings_of(home), backup)
    assert not (home.parent / "outside").exists()


def test_a_newer_schema_is_refused(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")
    values = json.loads((backup / NAME).read_text())
    (backup / NAME).write_text(json.dumps({**values, "schema_version": 31}))

    with pytest.raises(BackupError, match="schema 31, newer than 30"):
        restore(settings_of(home), backup)


def test_what_is_no_backup_is_said_to_be_none(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is no backup"):
        restore(settings_of(home), tmp_path)


def test_a_home_in_use_is_not_restored(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")

    with HomeLock(home), pytest.raises(HomeBusy):
        restore(settings_of(home), backup)


def test_a_database_that_another_process_has_open_is_not_restored(home: Path, tmp_path: Path) -> None:
    backup = backed_up(home, tmp_path / "kept")
    reader = subprocess.Popen(
        [sys.executable, "-c", "import sys; f = open(sys.argv[1]); print(flush=True); input()", DATABASE],
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert reader.stdout is not None
    reader.stdout.readline()  # it has the file open now

    with reader, pytest.raises(BackupError, match=f"process {reader.pid} has it open"):
        restore(settings_of(home), backup)


WITH_MEMORIES = """
openDatabase().exec("CREATE TABLE IF NOT EXISTS memories (id TEXT PRIMARY KEY); INSERT INTO memories VALUES ('tea')");
listen();
"""


def test_the_running_proxy_makes_the_backup_and_a_stopped_home_takes_it_back(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, daemon=WITH_MEMORIES) as proxy:
        proxy.until_legacy("ready")
        made = command_line(proxy.environment, "backup", str(tmp_path / "kept"))
        refused = command_line(proxy.environment, "restore", made.output.strip())

    assert made.exit_code == 0, made.output
    assert Manifest.read(Path(made.output.strip())).memories == 1
    assert refused.exit_code == 1
    assert "another signet-proxy" in refused.output
    restored = command_line(proxy.environment, "restore", made.output.strip())
    assert restored.exit_code == 0, restored.output
    assert restored.output.startswith("1 memories and ")


def test_without_a_proxy_the_command_makes_the_backup_itself(home: Path, tmp_path: Path) -> None:
    environment = {"SIGNET_PATH": str(home), "SIGNET_PORT": str(free_port()), "SIGNET_LEGACY_PORT": str(free_port())}

    made = command_line(environment, "backup", str(tmp_path / "kept"))

    assert made.exit_code == 0, made.output
    Manifest.read(Path(made.output.strip())).check(Path(made.output.strip()))
