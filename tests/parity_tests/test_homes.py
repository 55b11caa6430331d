"""Homes: their schema is legacy's, their content follows from name and base, and they hold what scenarios rely on."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from parity_tests.harness import corpus, sqlite
from parity_tests.harness.faketime import Clock
from parity_tests.harness.homes import build
from parity_tests.harness.seeded_id import uid
from parity_tests.harness.side import Side, side_kind

BASE_S = 1_790_000_000


def schema(database: sqlite.Connection) -> dict[str, str]:
    rows = database.execute("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_the_schema_is_the_one_that_legacy_ts_creates(tmp_path: Path) -> None:
    home = build.build("empty", BASE_S)
    side = Side(side_kind("legacy_ts"), tmp_path / "user", Clock())
    side.home.mkdir(parents=True)
    with side:
        created = sqlite.open_database(side.home / "memory" / "memories.db")
        with home.lock:
            assert schema(home.database) == schema(created)
            versions = "SELECT version, checksum FROM schema_migrations ORDER BY version"
            assert list(home.database.execute(versions)) == list(created.execute(versions))
        created.close()


@pytest.mark.parametrize("name", build.DESIGNS)
def test_a_home_is_the_same_whenever_it_is_built(name: str) -> None:
    build._build.cache_clear()
    corpus.home_digest.cache_clear()
    first = corpus.home_digest(name)
    build._build.cache_clear()
    corpus.home_digest.cache_clear()
    assert corpus.home_digest(name) == first


@pytest.mark.parametrize(("name", "least"), [("empty", 0), ("small", 40), ("busy", 2000), ("team", 40), ("odd", 35)])
def test_a_home_has_as_many_memories_as_its_name_says(name: str, least: int) -> None:
    home = build.build(name, BASE_S)
    with home.lock:
        count = sqlite.scalar(home.database, "SELECT count(*) FROM memories")
    assert least <= count <= least + 10


def test_ages_move_with_the_base_and_fixed_dates_do_not(tmp_path: Path) -> None:
    def times(base_s: int) -> tuple[str, str]:
        home = build.build("small", base_s)
        with home.lock:
            rows = "SELECT created_at FROM memories WHERE id = ?"
            moving, fixed = (
                next(iter(home.database.execute(rows, (uid("memory", name),))))[0] for name in ("small-1", "small-0")
            )
        return str(moving), str(fixed)

    assert times(BASE_S)[0] != times(BASE_S + 86_400)[0]
    assert times(BASE_S)[1] == times(BASE_S + 86_400)[1]


def test_a_clone_has_the_rows_the_seed_and_the_files(tmp_path: Path) -> None:
    build.clone(build.build("small", BASE_S), tmp_path / "a", "UPDATE memories SET who = 'seeded'")
    database = sqlite.open_database(tmp_path / "a" / "memory" / "memories.db")
    assert sqlite.scalar(database, "SELECT count(DISTINCT who) || ' ' || min(who) FROM memories") == "1 seeded"
    assert sqlite.scalar(database, "PRAGMA journal_mode") == "wal"
    database.close()
    assert (tmp_path / "a" / "skills" / "brew" / "SKILL.md").is_file()
    assert os.stat(tmp_path / "a" / ".daemon" / "auth-secret").st_mode & 0o777 == 0o600


def test_a_side_is_gone_after_its_run(tmp_path: Path) -> None:
    side = Side(side_kind("legacy_ts"), tmp_path / "user", Clock())
    side.home.mkdir(parents=True)
    with side:
        pid = side.pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_a_second_opener_sees_a_commit_at_once_and_waits_for_stillness(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    writer, watcher = sqlite.open_database(path), sqlite.open_database(path)
    assert sqlite.scalar(writer, "PRAGMA journal_mode = WAL") == "wal"
    writer.execute("CREATE TABLE t (n)")
    before = sqlite.wait_until_still(watcher, 0.01)
    writer.execute("INSERT INTO t VALUES (1)")
    started = time.monotonic()
    assert sqlite.wait_until_still(watcher, 0.05) != before
    assert time.monotonic() - started >= 0.05
    writer.close()
    watcher.close()


def test_the_readme_names_every_home_and_config_and_behaviour() -> None:
    from parity_tests.harness.embedder import BEHAVIOURS
    from parity_tests.harness.homes.configs import CONFIGS

    readme = (corpus.CORPUS_PATH.parent / "README.md").read_text()
    named = set(re.findall(r"`([a-z0-9-]+)`", readme)) | set(re.findall(r"[a-z]+", readme))
    assert {*build.DESIGNS, *CONFIGS, *BEHAVIOURS} <= named
