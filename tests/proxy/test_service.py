"""Service units: what is written, what is kept, and what the service manager is told."""

from __future__ import annotations

import configparser
import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.unit_files import MARK, Program, is_ours, launchd_plist, systemd_unit
from tests.proxy.legacy.daemons import OBEDIENT, write_daemon
from tests.proxy.legacy.running import environment_for
from tests.proxy.running_proxy import command_line

OLD_UNIT = "[Service]\nExecStart=/usr/bin/bun {daemon}\nRestart=always\n"
ODD = '/home/a b/%h/$x/"q"/.agents'


def program(home: str = "/home/user/.agents") -> Program:
    return Program(
        ("/opt/venv/bin/python", "-P", "-m", "proxy", "serve", "--take-over"),
        {"SIGNET_PATH": home, "SIGNET_PORT": "3850"},
        Path(home),
        Path(home, ".daemon/logs/daemon.out.log"),
        Path(home, ".daemon/logs/daemon.err.log"),
    )


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """A user whose `systemctl` notes what it is told and succeeds, unless its words stand in the file `failing`."""
    (tmp_path / "home").mkdir()
    environment = environment_for(tmp_path / "home", None)
    tools = tmp_path / "bin"
    tools.mkdir()
    systemctl = tools / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n'
        f'if grep -qs "$2" {tmp_path}/failing; then echo "Failed to connect to bus" >&2; exit 1; fi\n'
    )
    systemctl.chmod(0o755)
    return environment | {"PATH": f"{tools}:{environment['PATH']}"}


def unit_path(user: dict[str, str]) -> Path:
    return Path(user["HOME"], ".config/systemd/user/signet.service")


def told(tmp_path: Path) -> list[str]:
    path = tmp_path / "told"
    return path.read_text().splitlines() if path.exists() else []


def old_unit(user: dict[str, str], daemon: str = "/opt/daemon.js") -> Path:
    path = unit_path(user)
    path.parent.mkdir(parents=True)
    path.write_text(OLD_UNIT.format(daemon=daemon))
    return path


def test_the_unit_is_of_the_kind_that_operators_know() -> None:
    unit = systemd_unit(program(), Path("/home/user"))
    parsed = configparser.RawConfigParser(strict=False, delimiters="=", comment_prefixes="#")
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit.text)

    section = parsed["Service"]
    assert unit.path == Path("/home/user/.config/systemd/user/signet.service")
    assert (section["Type"], section["Restart"], section["RestartSec"]) == ("notify", "on-failure", "5")
    assert section["StandardOutput"] == "append:/home/user/.agents/.daemon/logs/daemon.out.log"
    assert section["StandardError"] == "append:/home/user/.agents/.daemon/logs/daemon.err.log"
    assert int(section["TimeoutStopSec"]) > 30
    assert parsed["Install"]["WantedBy"] == "default.target"


def complaints(unit: Path, folder: Path) -> list[str]:
    """What systemd says about a unit file; [] on a machine without systemd."""
    if shutil.which("systemd-analyze") is None:
        return []
    checked = subprocess.run(
        ("systemd-analyze", "--user", "verify", str(unit)),
        env=os.environ | {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return [line for line in checked.stderr.splitlines() if unit.name in line]


def test_systemd_accepts_the_unit_also_with_odd_paths(tmp_path: Path) -> None:
    home = tmp_path / 'a b%h$x"q'
    home.mkdir()
    own = Program((sys.executable, "-P", "-m", "proxy"), {"SIGNET_PATH": str(home)}, home, home / "out", home / "err")
    unit = tmp_path / "signet.service"
    unit.write_text(systemd_unit(own, tmp_path).text)

    assert complaints(unit, tmp_path) == []


def test_specifiers_variables_and_quotes_are_escaped() -> None:
    text = systemd_unit(program(ODD), Path("/home/user")).text

    assert 'Environment="SIGNET_PATH=/home/a b/%%h/$x/\\"q\\"/.agents"' in text
    assert 'WorkingDirectory=/home/a b/%%h/$x/"q"/.agents' in text


def test_the_plist_restarts_on_failure_only_and_says_the_same() -> None:
    unit = launchd_plist(program(ODD), Path("/Users/user"))
    values = plistlib.loads(unit.text.encode())

    assert unit.path == Path("/Users/user/Library/LaunchAgents/ai.signet.daemon.plist")
    assert values["Label"] == "ai.signet.daemon"
    assert values["ProgramArguments"][-2:] == ["serve", "--take-over"]
    assert values["KeepAlive"] == {"SuccessfulExit": False}
    assert values["EnvironmentVariables"]["SIGNET_PATH"] == ODD
    assert values["StandardOutPath"].endswith("/daemon.out.log")


def test_our_units_are_told_from_others(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours.plist", tmp_path / "others.plist"
    ours.write_text(launchd_plist(program(), tmp_path).text)
    others.write_bytes(plistlib.dumps({"ProgramArguments": ["/usr/bin/bun", "/opt/daemon.js"]}))
    (tmp_path / "broken.plist").write_text("<plist")

    assert is_ours(ours)
    assert not is_ours(others)
    assert not is_ours(tmp_path / "broken.plist")
    assert not is_ours(tmp_path / "missing.service")


def test_install_writes_enables_and_starts_with_the_settings_in_force(user: dict[str, str], tmp_path: Path) -> None:
    result = command_line(user | {"SIGNET_PORT": "4850"}, "service", "install")

    text = unit_path(user).read_text()
    assert result.exit_code == 0, result.output
    assert told(tmp_path) == ["--user daemon-reload", "--user enable --now signet.service"]
    assert f'"{sys.executable}" "-P" "-m" "proxy" "serve" "--take-over"' in text
    assert 'Environment="SIGNET_PORT=4850"' in text
    assert f'Environment="SIGNET_PATH={user["SIGNET_PATH"]}"' in text
    assert (Path(user["SIGNET_PATH"]) / ".daemon" / "logs").is_dir()


def test_install_can_leave_take_over_and_start_out(user: dict[str, str], tmp_path: Path) -> None:
    command_line(user, "service", "install", "--no-start", "--no-take-over")

    assert told(tmp_path) == []
    assert "--take-over" not in unit_path(user).read_text()


def test_print_shows_the_unit_and_changes_nothing(user: dict[str, str], tmp_path: Path) -> None:
    result = command_line(user, "service", "install", "--print")

    assert result.output.startswith(MARK)
    assert not unit_path(user).exists()
    assert list(Path(user["SIGNET_PATH"]).iterdir()) == []
    assert told(tmp_path) == []


def test_an_old_unit_is_left_alone_without_replace(user: dict[str, str], tmp_path: Path) -> None:
    path = old_unit(user)
    before = path.read_text()

    result = command_line(user, "service", "install")

    assert result.exit_code == 1
    assert "--replace" in result.output
    assert path.read_text() == before
    assert told(tmp_path) == []


def test_replace_stops_the_old_unit_keeps_it_and_remembers_its_daemon(user: dict[str, str], tmp_path: Path) -> None:
    daemon = write_daemon(tmp_path, OBEDIENT)
    path = old_unit(user, str(daemon))
    before = path.read_text()

    result = command_line(user | {"SIGNET_LEGACY_DAEMON": ""}, "service", "install", "--replace")

    kept = path.with_name("signet.service.before-proxy")
    assert result.exit_code == 0, result.output
    assert kept.read_text() == before
    assert str(kept) in result.output
    assert told(tmp_path)[0] == "--user stop signet.service"
    assert f'Environment="SIGNET_LEGACY_DAEMON={daemon}"' in path.read_text()


def test_a_second_kept_unit_does_not_overwrite_the_first(user: dict[str, str]) -> None:
    path = old_unit(user)
    command_line(user, "service", "install", "--replace", "--no-start")
    path.write_text(OLD_UNIT.format(daemon="/opt/second.js"))

    command_line(user, "service", "install", "--replace", "--no-start")

    assert "second" in path.with_name("signet.service.before-proxy-2").read_text()
    assert "second" not in path.with_name("signet.service.before-proxy").read_text()


def test_install_over_our_own_unit_needs_no_replace(user: dict[str, str]) -> None:
    command_line(user, "service", "install", "--no-start")

    result = command_line(user | {"SIGNET_PORT": "4850"}, "service", "install", "--no-start")

    assert result.exit_code == 0
    assert "SIGNET_PORT=4850" in unit_path(user).read_text()


def test_an_unreachable_manager_is_told_with_the_commands_to_type(user: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "failing").write_text("daemon-reload")

    result = command_line(user, "service", "install")

    assert result.exit_code == 1
    assert "Failed to connect to bus" in result.output
    assert "systemctl --user enable --now signet.service" in result.output
    assert unit_path(user).exists()


def test_uninstall_removes_ours_and_names_the_unit_from_before(user: dict[str, str], tmp_path: Path) -> None:
    path = old_unit(user)
    command_line(user, "service", "install", "--replace")

    result = command_line(user, "service", "uninstall")

    assert result.exit_code == 0
    assert not path.exists()
    assert str(path.with_name("signet.service.before-proxy")) in result.output
    assert told(tmp_path)[-2:] == ["--user disable --now signet.service", "--user daemon-reload"]


def test_uninstall_leaves_a_unit_that_is_not_ours(user: dict[str, str]) -> None:
    path = old_unit(user)

    result = command_line(user, "service", "uninstall")

    assert result.exit_code == 1
    assert "not ours" in result.output
    assert path.exists()


def test_status_tells_installed_current_enabled_and_running(user: dict[str, str], tmp_path: Path) -> None:
    assert "not installed" in command_line(user, "service", "status").output
    command_line(user, "service", "install")

    good = command_line(user, "service", "status")
    changed = command_line(user | {"SIGNET_PORT": "4850"}, "service", "status")
    (tmp_path / "failing").write_text("is-active")
    stopped = command_line(user, "service", "status")

    assert (good.exit_code, stopped.exit_code) == (0, 1)
    assert "enabled, running" in good.output
    assert "made with other settings" in changed.output
    assert "enabled, not running" in stopped.output
