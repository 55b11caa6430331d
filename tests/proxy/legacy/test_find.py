"""Finding the daemon and Bun in the places where installers put them. Real files, no installation."""

from __future__ import annotations

import os
import plistlib
from pathlib import Path

import pytest

from proxy.legacy.find import STAND_IN_PATH, Daemon, LegacyNotFound, find_bun, find_daemon


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """A user with an empty home folder and an empty PATH."""
    (tmp_path / "bin").mkdir()
    return {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}


def put(path: Path, *, executable: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755 if executable else 0o644)
    return path


def find(environment: dict[str, str]) -> Daemon:
    """What is found without a choice, leaving out what this machine has installed for everybody."""
    return find_daemon(None, environment, prefixes=())


def test_a_chosen_daemon_wins_over_an_installed_one(user: dict[str, str], tmp_path: Path) -> None:
    put(tmp_path / ".bun/install/global/node_modules/signetai/dist/daemon.js")
    chosen = put(tmp_path / "mine" / "daemon.js")
    found = find_daemon(chosen, user)
    assert (found.path, found.kind, found.found) == (chosen, "signet", "SIGNET_LEGACY_DAEMON")


def test_a_chosen_daemon_that_is_gone_is_named(user: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(LegacyNotFound, match=r"SIGNET_LEGACY_DAEMON=.*gone.js: no such file"):
        find_daemon(tmp_path / "gone.js", user)


def test_without_an_installed_signet_the_stand_in_is_taken(user: dict[str, str]) -> None:
    found = find(user)
    assert (found.path, found.kind) == (STAND_IN_PATH, "stand-in")


def test_the_stand_in_is_known_when_it_is_chosen_by_path(user: dict[str, str]) -> None:
    assert find_daemon(STAND_IN_PATH, user).kind == "stand-in"


@pytest.mark.parametrize(
    "place", [".bun/install/global/node_modules", ".npm-global/lib/node_modules", "node/lib/node_modules"]
)
def test_a_globally_installed_signet_is_found(user: dict[str, str], tmp_path: Path, place: str) -> None:
    put(tmp_path / "node" / "bin" / "node", executable=True)
    os.symlink(tmp_path / "node" / "bin" / "node", tmp_path / "bin" / "node")
    daemon = put(tmp_path / place / "signetai" / "dist" / "daemon.js")
    found = find(user)
    assert (found.path.resolve(), found.kind) == (daemon.resolve(), "signet")


def test_the_prefix_in_npmrc_is_searched(user: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("registry=x\nprefix = ${HOME}/tools\n")
    daemon = put(tmp_path / "tools/lib/node_modules/signetai/dist/daemon.js")
    assert find(user).path == daemon


def test_bun_install_names_another_bun_folder(user: dict[str, str], tmp_path: Path) -> None:
    daemon = put(tmp_path / "b/install/global/node_modules/signetai/dist/daemon.js")
    assert find(user | {"BUN_INSTALL": str(tmp_path / "b")}).path == daemon


def test_the_package_of_the_signet_command_is_found_through_its_link(user: dict[str, str], tmp_path: Path) -> None:
    package = tmp_path / "somewhere" / "signetai"
    put(package / "bin" / "signet.js", executable=True)
    daemon = put(package / "dist" / "daemon.js")
    os.symlink(package / "bin" / "signet.js", tmp_path / "bin" / "signet")
    assert find(user).path == daemon.resolve()


@pytest.mark.parametrize("folder", ["plain", "with a space"])
def test_the_daemon_of_a_systemd_unit_is_found_also_when_its_path_has_spaces(
    user: dict[str, str], tmp_path: Path, folder: str
) -> None:
    daemon = put(tmp_path / folder / "daemon.js")
    unit = put(tmp_path / ".config/systemd/user/signet.service")
    unit.write_text(f"[Service]\nExecStart=/usr/bin/bun {daemon}\nRestart=always\n")
    found = find(user)
    assert (found.path, found.found) == (daemon, str(unit))


def test_a_unit_that_runs_this_proxy_is_no_daemon(user: dict[str, str], tmp_path: Path) -> None:
    unit = put(tmp_path / ".config/systemd/user/signet.service")
    unit.write_text("[Service]\nExecStart=/usr/bin/signet-proxy serve --take-over\n")
    assert find(user).kind == "stand-in"


def test_the_daemon_of_a_launchd_plist_is_found(user: dict[str, str], tmp_path: Path) -> None:
    daemon = put(tmp_path / "app" / "daemon.js")
    plist = put(tmp_path / "Library/LaunchAgents/ai.signet.daemon.plist")
    plist.write_bytes(plistlib.dumps({"Label": "ai.signet.daemon", "ProgramArguments": ["/bin/bun", str(daemon)]}))
    assert find(user).path == daemon


@pytest.mark.parametrize("plist", [b"\x00 not a plist", b"<?xml version='1.0'?><plist><dict>"])
def test_unreadable_units_are_passed_over(user: dict[str, str], tmp_path: Path, plist: bytes) -> None:
    put(tmp_path / "Library/LaunchAgents/ai.signet.daemon.plist").write_bytes(plist)
    put(tmp_path / ".config/systemd/user/signet.service").write_bytes(b"\xff\xfe\nExecStart=\n")
    assert find(user).kind == "stand-in"


def test_a_chosen_bun_must_be_executable(user: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(LegacyNotFound, match=r"SIGNET_BUN=.*: not an executable file"):
        find_bun(put(tmp_path / "bun"), user)
    assert find_bun(put(tmp_path / "ok" / "bun", executable=True), user) == tmp_path / "ok" / "bun"


def test_some_bun_is_found_for_these_tests(user: dict[str, str]) -> None:
    assert os.access(find_bun(None, user | {"PATH": os.environ["PATH"]}), os.X_OK)


def test_a_prefix_of_the_machine_is_searched(user: dict[str, str], tmp_path: Path) -> None:
    daemon = put(tmp_path / "machine/lib/node_modules/signetai/dist/daemon.js")
    assert find_daemon(None, user, prefixes=[str(tmp_path / "machine")]).path == daemon
