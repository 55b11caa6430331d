"""Installing, removing and looking at the service of this user. A unit of somebody else is never lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from proxy.home import create_home
from proxy.legacy.find import LegacyNotFound, find_daemon
from proxy.operator_error import OperatorError
from proxy.settings import ENVIRONMENT, Settings, process_environment
from proxy.unit_files import LAUNCHD_LABEL, SYSTEMD_NAME, Program, Unit, is_ours, launchd_plist, systemd_unit

COMMAND_TIMEOUT_S = 90.0


class ServiceError(OperatorError):
    """The service is not as asked; the message says what was done, what was not, and what to do."""


def this_machines(settings: Settings, *, take_over: bool = True) -> Unit:
    """The unit for this system and these settings."""
    environment = process_environment()
    user_home = Path(environment.get("HOME") or Path.home())
    program = Program(
        # -P: a folder named `proxy` in the working directory must not be run instead.
        command=(sys.executable, "-P", "-m", "proxy", "serve", *(["--take-over"] if take_over else [])),
        environment=_unit_environment(settings, environment),
        working_path=settings.home_path,
        output_path=settings.logs_path / "daemon.out.log",
        errors_path=settings.logs_path / "daemon.err.log",
    )
    return (launchd_plist if sys.platform == "darwin" else systemd_unit)(program, user_home)


def _unit_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings in force, and PATH: legacy starts git, claude and codex by name.

    The daemon's path is written down, because it may have been found in the very unit that is replaced now.
    """
    kept = {name: environment[name] for name in ENVIRONMENT if environment.get(name)}
    kept |= {"SIGNET_PATH": str(settings.home_path), "SIGNET_PORT": str(settings.port)}
    # The unit runs in another folder than this command.
    paths = {
        "SIGNET_LOG_DIR": settings.log_dir_path,
        "SIGNET_LEGACY_DAEMON": settings.legacy_daemon_path,
        "SIGNET_BUN": settings.bun_path,
    }
    kept |= {name: str(path) for name, path in paths.items() if path is not None}
    if settings.legacy_url is None and settings.legacy_daemon_path is None:
        try:
            daemon = find_daemon(None, environment)
        except LegacyNotFound:
            pass  # `serve` and `doctor` say so; it may be installed later
        else:
            if daemon.kind == "signet":
                kept["SIGNET_LEGACY_DAEMON"] = str(daemon.path)
    return kept | {"PATH": environment.get("PATH", os.defpath)}


def install(settings: Settings, unit: Unit, *, replace: bool, start: bool) -> list[str]:
    """Write the unit, enable it and start it; returns what was done, line by line. Raises ServiceError, HomeError."""
    foreign = unit.path.exists() and not is_ours(unit.path)
    if foreign and not replace:
        raise ServiceError(
            f"{unit.path} is not ours. `signet-proxy service install --replace` puts ours there and keeps it beside"
        )
    create_home(settings.home_path, settings.logs_path)  # service managers do not make the log folder
    done = []
    if start and unit.path.exists():
        _stop(unit)  # also one of ours: the new settings count from its next start
    if foreign:
        kept = _free_name(unit.path)
        unit.path.rename(kept)
        done.append(f"kept the unit that was there as {kept}")
    unit.path.parent.mkdir(parents=True, exist_ok=True)
    unit.path.write_text(unit.text)
    done.append(f"wrote {unit.path}")
    if start:
        done.append(_start(unit))
    return done


def uninstall(unit: Unit) -> list[str]:
    """Stop, disable and remove our unit. Raises ServiceError when there is none or it is not ours."""
    if not unit.path.exists():
        raise ServiceError(f"no service is installed: there is no {unit.path}")
    if not is_ours(unit.path):
        raise ServiceError(f"{unit.path} is not ours and was left alone")
    _stop(unit, disable=True)
    unit.path.unlink()
    if unit.manager == "systemd":
        _run("systemctl", "--user", "daemon-reload")
    done = [f"removed {unit.path}"]
    for kept in kept_beside(unit.path):
        done.append(f"the unit from before is still kept: {kept}. To use it again: mv '{kept}' '{unit.path}'")
    return done


def describe(unit: Unit) -> tuple[list[str], bool]:
    """Lines about the service, and whether it is installed, ours, enabled and running."""
    kept = [f"kept beside: {path}" for path in kept_beside(unit.path)]
    if not unit.path.exists():
        return [f"not installed: there is no {unit.path}", *kept], False
    ours = is_ours(unit.path)
    whose = "written by signet-proxy" if ours else "not ours: `service install --replace` would replace it"
    state, runs = _state(unit)
    current = (
        "" if not ours or unit.path.read_text() == unit.text else "; made with other settings than those now in force"
    )
    return [f"{unit.path}: {whose}{current}", state, *kept], ours and runs


def kept_beside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.before-proxy*"))


def _free_name(path: Path) -> Path:
    beside = path.with_name(f"{path.name}.before-proxy")
    number = 2
    while beside.exists():
        beside = path.with_name(f"{path.name}.before-proxy-{number}")
        number += 1
    return beside


def _start(unit: Unit) -> str:
    if unit.manager == "launchd":
        commands = [("launchctl", "bootstrap", _launchd_domain(), str(unit.path))]
    else:
        commands = [("systemctl", "--user", *rest) for rest in (("daemon-reload",), ("enable", "--now", SYSTEMD_NAME))]
    for command in commands:
        failure = _run(*command)
        if failure is not None:
            by_hand = " && ".join(" ".join(words) for words in commands)
            raise ServiceError(f"wrote {unit.path}, but `{' '.join(command)}` failed: {failure}. By hand: {by_hand}")
    return "enabled and started it"


def _stop(unit: Unit, *, disable: bool = False) -> None:
    """Without a manager nothing runs under it, so a failure here is none."""
    if unit.manager == "launchd":
        _run("launchctl", "bootout", f"{_launchd_domain()}/{LAUNCHD_LABEL}")
    elif disable:
        _run("systemctl", "--user", "disable", "--now", SYSTEMD_NAME)
    else:
        _run("systemctl", "--user", "stop", SYSTEMD_NAME)


def _state(unit: Unit) -> tuple[str, bool]:
    if unit.manager == "launchd":
        loaded = _run("launchctl", "print", f"{_launchd_domain()}/{LAUNCHD_LABEL}") is None
        return ("loaded" if loaded else "not loaded: `signet-proxy service install` loads it"), loaded
    enabled = _run("systemctl", "--user", "is-enabled", "--quiet", SYSTEMD_NAME)
    active = _run("systemctl", "--user", "is-active", "--quiet", SYSTEMD_NAME)
    said = [f"{'not ' if enabled is not None else ''}enabled", f"{'not ' if active is not None else ''}running"]
    detail = f" ({enabled or active})" if enabled or active else ""
    return ", ".join(said) + detail, enabled is None and active is None


def _launchd_domain() -> str:
    return f"gui/{os.getuid()}"


def _run(*command: str) -> str | None:
    """None when the command succeeded, else what it said, in one line."""
    program = shutil.which(command[0], path=process_environment().get("PATH"))
    if program is None:
        return f"there is no {command[0]} on this machine"
    try:
        done = subprocess.run(
            (program, *command[1:]), capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
